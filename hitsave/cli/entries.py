"""`hitsave ls`, `show`, `rm`, `clear`: what is stored. None of them decodes a result."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hitsave.cli.choose import entry_id, find_entries
from hitsave.cli.output import Output, age_text, size_text, time_text
from hitsave.cli.place import Place, open_place
from hitsave.config import parse_duration
from hitsave.errors import UsageError
from hitsave.evaluation import Evaluation
from hitsave.symbol import module_of, qualname_of

CALL_WIDTH, RESULT_WIDTH = 60, 32
SORTS: dict[str, Callable[[Evaluation], Any]] = {
    "age": lambda entry: -entry.started,
    "size": lambda entry: -entry.size_bytes,
    "time": lambda entry: -entry.elapsed_s,
    "name": lambda entry: (entry.key.symbol, entry.title),
}


def add_ls(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave ls`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="functions (name or glob) or ids; default: all")
    parser.add_argument("--sort", choices=sorted(SORTS), default="age", help="order (default: newest first)")
    parser.add_argument("--limit", type=int, metavar="N", help="show only the first N")
    parser.add_argument("--experiments", action="store_true", help="only results of @experiment functions")
    parser.add_argument(
        "--superseded", action="store_true", help="only results of code that a live session saw replaced"
    )


def ls(options: argparse.Namespace, output: Output) -> int:
    """List stored evaluations."""
    with open_place(options) as place:
        found = find_entries(options.names, place.store.entries())
        if options.superseded:
            found = _superseded(found, place)
    if options.experiments:
        found = [entry for entry in found if entry.is_experiment]
    found.sort(key=SORTS[options.sort])
    shown = found[: options.limit]
    output.emit([as_dict(entry) for entry in shown])
    now = time.time()
    rows = [
        (
            entry_id(entry),
            _in_one_line(_call(entry), CALL_WIDTH),
            _in_one_line(entry.preview, RESULT_WIDTH),
            age_text(now - entry.started),
            time_text(entry.elapsed_s),
            size_text(entry.size_bytes),
        )
        for entry in shown
    ]
    if rows:
        output.table(("ID", "CALL", "RESULT", "COMPUTED", "TOOK", "SIZE"), rows)
    size, took = sum(entry.size_bytes for entry in found), time_covered(found)
    output.remark(
        f"{_results(len(found))}, {size_text(size)}, {time_text(took)} of computing" if found else "nothing stored"
    )
    return 0


def add_show(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave show`."""
    parser.add_argument("name", help="an id (from `hitsave ls`) or a function, whose newest result is shown")
    parser.add_argument(
        "--rewritten", action="store_true", help="NAME is a module: show it as the import hook executes it"
    )


def show(options: argparse.Namespace, output: Output) -> int:
    """Show one stored evaluation: its key, its result's size and preview, and what it observed."""
    if options.rewritten:
        return _show_rewritten(options, output)
    with open_place(options) as place:
        found = find_entries([options.name], place.store.entries())
    if not found:
        raise UsageError(f"nothing is stored under {options.name!r}", hint="`hitsave ls` lists what is.")
    entry = max(found, key=lambda each: each.started)
    output.emit(as_dict(entry, full=True))
    for name, value in _facts(entry):
        output.line(f"{name + ':':<13} {value}")
    return 0


def _show_rewritten(options: argparse.Namespace, output: Output) -> int:
    from hitsave.cli.files import Files
    from hitsave.explain.render import render_tree
    from hitsave.importhook import install_import_hook

    with open_place(options) as place:
        module = options.name.removeprefix("./")
        if module.endswith(".py"):
            module = module.removesuffix(".py").replace("/", ".")
        source = Files(place.project, place.store).source(module)
        if source is None:
            raise UsageError(f"the project has no module {module!r}", hint="Write it dotted, or as a path to its file.")
        hook = install_import_hook(place.project.root)
        try:
            tree = hook.rewriting.parse(source.data, source.path, source.module)
        except SyntaxError as error:
            raise UsageError(f"{source.path}:{error.lineno}: {error.msg}") from None
    text = render_tree(tree).rstrip("\n") if tree is not None else ""
    output.emit({"module": source.module, "rewritten": tree is not None, "text": text})
    output.line(text if text else f"{source.module} is executed as it is written: nothing in it is decorated")
    return 0


def add_rm(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave rm`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="functions (name or glob) or ids")
    parser.add_argument("--older", metavar="TIME", help="only results older than this, such as 7d")
    parser.add_argument(
        "--superseded", action="store_true", help="only results of code that a live session saw replaced"
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="only say what would be removed")


def rm(options: argparse.Namespace, output: Output) -> int:
    """Remove stored evaluations."""
    if not options.names and not options.older and not options.superseded:
        hint = "Name functions or ids, or give --older or --superseded; all: `hitsave clear`."
        raise UsageError("nothing named to remove", hint=hint)
    with open_place(options) as place:
        found = find_entries(options.names, place.store.entries())
        if options.older:
            before = time.time() - parse_duration(options.older, "older")
            found = [entry for entry in found if entry.started < before]
        if options.superseded:
            found = _superseded(found, place)
        return _remove(place, found, output, dry_run=options.dry_run)


def add_clear(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave clear`."""
    parser.add_argument("-y", "--yes", action="store_true", help="don't ask, on a terminal")
    parser.add_argument("-n", "--dry-run", action="store_true", help="only say what would be removed")


def clear(options: argparse.Namespace, output: Output) -> int:
    """Remove every stored evaluation, those of experiments too."""
    with open_place(options) as place:
        found = list(place.store.entries())
        if found and sys.stdin.isatty() and output.is_terminal and not (options.yes or options.dry_run):
            kept = sum(entry.is_experiment for entry in found)
            print(f"Remove {_results(len(found))}, {kept} of them experiments, from {place.config.dir}? [y/N] ", end="")
            if input().strip().lower() not in ("y", "yes"):
                return 1
        return _remove(place, found, output, dry_run=options.dry_run)


def _superseded(entries: Iterable[Evaluation], place: Place) -> list[Evaluation]:
    marked = {(mark.symbol, mark.fingerprint) for mark in place.store.superseded()}
    return [entry for entry in entries if (entry.key.symbol, entry.key.fingerprint) in marked]


def _remove(place: Place, found: Sequence[Evaluation], output: Output, *, dry_run: bool) -> int:
    removed = found if dry_run else [entry for entry in found if place.store.remove(entry)]
    size = sum(entry.size_bytes for entry in removed)
    output.emit({"removed": [entry_id(entry) for entry in removed], "size_bytes": size, "dry_run": dry_run})
    if dry_run:
        for entry in removed:
            output.line(f"{entry_id(entry)}  {_call(entry)}")
    output.remark(f"{'would remove' if dry_run else 'removed'} {_results(len(removed))}, {size_text(size)}")
    return 0


def as_dict(entry: Evaluation, *, full: bool = False) -> dict[str, Any]:
    """An evaluation as plain data for JSON; with `full`, also what it observed."""
    data: dict[str, Any] = {
        "id": entry_id(entry),
        "symbol": entry.key.symbol,
        "call": entry.title,
        "result": entry.preview,
        "started": entry.started,
        "elapsed_s": entry.elapsed_s,
        "size_bytes": entry.size_bytes,
        "codec": entry.codec,
        "experiment": entry.is_experiment,
        "fingerprint": entry.key.fingerprint,
        "arguments": entry.key.arguments,
        "digest": entry.result,
    }
    if full:
        seen = entry.observed
        data["observed"] = {
            "files": [{"path": read.path, "kind": read.kind, "digest": read.digest} for read in seen.files],
            "environment": [name for name, _ in seen.environment],
            "values": [name for name, _ in seen.live],
            "children": [{"symbol": child.symbol, "result": child.result} for child in seen.children],
            "ran": list(seen.ran),
            "complete": seen.complete,
            "incomplete_because": seen.incomplete_because,
            "impurities": list(seen.impurities),
        }
        data["details"] = entry.details
    return data


def time_covered(entries: Iterable[Evaluation]) -> float:
    """The seconds during which any of `entries` was being computed: a call within a call isn't counted twice."""
    total = until = 0.0
    for started, ended in sorted((entry.started, entry.started + entry.elapsed_s) for entry in entries):
        total += max(0.0, ended - max(started, until))
        until = max(until, ended)
    return total


def _facts(entry: Evaluation) -> list[tuple[str, str]]:
    seen = entry.observed
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.started))
    if seen.complete:
        ran = f"{', '.join(seen.ran)}"
    else:
        ran = f"not known completely: {seen.incomplete_because or 'not observed'}"
    facts = [
        ("id", entry_id(entry)),
        ("call", _call(entry)),
        ("function", entry.key.symbol),
        ("kind", "experiment (never collected)" if entry.is_experiment else "memo"),
        ("result", entry.preview),
        ("computed", f"{when}, took {time_text(entry.elapsed_s)}"),
        ("stored", f"{size_text(entry.size_bytes)}, {entry.codec}, digest {entry.result}"),
        ("code", f"fingerprint {entry.key.fingerprint}"),
        ("arguments", f"digest {entry.key.arguments}"),
        ("files", ", ".join(read.path for read in seen.files)),
        ("environment", ", ".join(name for name, _ in seen.environment)),
        ("values", ", ".join(name for name, _ in seen.live)),
        ("called", ", ".join(dict.fromkeys(child.symbol for child in seen.children))),
        ("ran", ran),
        ("impure", ", ".join(seen.impurities)),
        ("details", entry.details),
    ]
    return [(name, value) for name, value in facts if value]


def _call(entry: Evaluation) -> str:
    if entry.title:
        return f"{module_of(entry.key.symbol)}.{entry.title}"
    return f"{module_of(entry.key.symbol)}.{qualname_of(entry.key.symbol)}(…)"


def _in_one_line(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def _results(count: int) -> str:
    return f"{count} result{'' if count == 1 else 's'}"
