"""`hitsave gc`: bring the cache within its limits now, instead of waiting for it to happen by itself."""

from __future__ import annotations

import argparse

from hitsave.cli.output import Output, size_text
from hitsave.cli.place import open_place
from hitsave.config import parse_duration, parse_size
from hitsave.errors import StoreError
from hitsave.explain.record import sources_of


def add_gc(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave gc`."""
    parser.add_argument("--max-size", metavar="SIZE", help="such as 5G (default: the setting `max_size`)")
    parser.add_argument(
        "--older", metavar="TIME", help="collect what is older, such as 30d (default: the setting `max_age`)"
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="only say what would be collected")
    parser.epilog = (
        "Superseded results go first, then those that save least for their size. Experiments are never collected."
    )


def gc(options: argparse.Namespace, output: Output) -> int:
    """Collect memo results that exceed the limits, and sweep what nothing needs."""
    from hitsave.store.collect import Limits, collect

    with open_place(options) as place:
        size = parse_size(options.max_size) if options.max_size else place.config.max_size
        age = parse_duration(options.older, "older") if options.older else place.config.max_age
        done = collect(place.store, Limits(size, age), dry_run=options.dry_run, sources_of=sources_of)
    if done.busy:
        raise StoreError("another process is collecting", hint="Try again in a minute.")
    output.emit(
        {"dry_run": options.dry_run, "removed": done.removed, **dict(zip(done._fields, done._values(), strict=True))}
    )
    said = "would collect" if options.dry_run else "collected"
    reasons = [
        (done.superseded, "superseded"),
        (done.too_old, "too old"),
        (done.over_function_limit, "over the limit of their function"),
        (done.least_useful, "least useful"),
    ]
    why = ", ".join(f"{count} {reason}" for count, reason in reasons if count)
    output.line(f"{said} {done.removed} results{f' ({why})' if why else ''}, {size_text(done.freed_bytes)}")
    output.remark(f"{done.entries} results left, {size_text(done.size_bytes)}")
    return 0


def add_clean(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave clean`: none of its own."""


def clean(options: argparse.Namespace, output: Output) -> int:
    """Remove the bytecode that the import hook keeps beside the project's modules; results stay."""
    from hitsave.importhook.cleaning import remove_bytecode

    with open_place(options) as place:
        removed = [place.project.relative(path) for path in remove_bytecode(place.project.root)]
    output.emit({"removed": removed})
    output.line(f"removed {len(removed)} bytecode file{'' if len(removed) == 1 else 's'}")
    return 0
