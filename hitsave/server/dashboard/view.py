"""`RunsView`: what a person has chosen to see of a function's runs, as it stands in the URL and nowhere else.

sort=-res.loss            a column, "-" for largest first; started and elapsed always exist
f.arg.lr=>0.01            a filter per column, see `parse_filter`
v=3f2a                    versions (beginnings of fingerprints), several allowed
q=text                    in the call as written
all=1                     also the columns that never differ
hide=arg.seed             columns not to show
size=200  after=…         page size and where the page begins
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import math
from collections.abc import Iterable
from urllib.parse import urlencode

from hitsave.server.problems import Problem

SIZES = (50, 200)
FIXED = ("started", "elapsed", "size")


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column of the runs table: `kind` is arg, res, or "" for started, elapsed, size."""

    kind: str
    name: str

    @property
    def id(self) -> str:
        """As it stands in URLs."""
        return f"{self.kind}.{self.name}" if self.kind else self.name


@dataclasses.dataclass(frozen=True, slots=True)
class Filter:
    """One condition: `op` is one of = != < <= > >= between contains missing present."""

    column: Column
    op: str
    text: str = ""
    number: float | None = None
    upper: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RunsView:
    """The whole choice. Immutable: links are made with `url(changes)`."""

    sort: Column = Column("", "started")
    descending: bool = True
    filters: tuple[tuple[str, str], ...] = ()  # column id, as typed
    versions: tuple[str, ...] = ()
    search: str = ""
    show_all: bool = False
    hidden: tuple[str, ...] = ()
    size: int = SIZES[0]
    after: str = ""

    def parsed_filters(self) -> list[Filter]:
        """The conditions that the typed filters stand for."""
        return [parse_filter(parse_column(column), text) for column, text in self.filters if text.strip()]

    def filter_text(self, column: Column) -> str:
        """What was typed for `column`."""
        return dict(self.filters).get(column.id, "")

    def query(self, **changes: object) -> str:
        """The query string of this view with `changes`; the page begins anew unless `after` is among them."""
        view = dataclasses.replace(self, **{"after": "", **changes})  # type: ignore[arg-type]
        pairs: list[tuple[str, str]] = []
        if view.sort != Column("", "started") or not view.descending:
            pairs.append(("sort", ("-" if view.descending else "") + view.sort.id))
        pairs += [(f"f.{column}", text) for column, text in view.filters if text.strip()]
        pairs += [("v", version) for version in view.versions]
        pairs += [("q", view.search)] if view.search else []
        pairs += [("all", "1")] if view.show_all else []
        pairs += [("hide", column) for column in view.hidden]
        pairs += [("size", str(view.size))] if view.size != SIZES[0] else []
        pairs += [("after", view.after)] if view.after else []
        return urlencode(pairs)

    def sorted_by(self, column: Column) -> str:
        """The query string that sorts by `column`, the other way round if it already does."""
        descending = not self.descending if self.sort == column else column.kind != "arg"
        return self.query(sort=column, descending=descending)


def parse_view(pairs: Iterable[tuple[str, str]]) -> RunsView:
    """The view in a query string. What can't be understood is ignored: a link must always lead somewhere."""
    view = RunsView()
    filters: list[tuple[str, str]] = []
    versions: list[str] = []
    hidden: list[str] = []
    for name, value in list(pairs)[:200]:
        value = value[:300].replace("\x00", "")
        if name == "sort" and value.lstrip("-"):
            view = dataclasses.replace(view, sort=parse_column(value.lstrip("-")), descending=value.startswith("-"))
        elif name.startswith("f.") and value.strip():
            filters.append((name[2:], value))
        elif name == "v" and value.isalnum():
            versions.append(value)
        elif name == "q":
            view = dataclasses.replace(view, search=value.strip())
        elif name == "all":
            view = dataclasses.replace(view, show_all=value == "1")
        elif name == "hide":
            hidden.append(value)
        elif name == "size" and value.isdigit() and int(value) in SIZES:
            view = dataclasses.replace(view, size=int(value))
        elif name == "after":
            view = dataclasses.replace(view, after=value)
    return dataclasses.replace(view, filters=tuple(filters), versions=tuple(versions), hidden=tuple(hidden))


def parse_column(text: str) -> Column:
    """The column that `text` names; something unknown is a column nobody has."""
    kind, _, name = text.partition(".")
    if kind in ("arg", "res") and name:
        return Column(kind, name[:100])
    return Column("", text if text in FIXED else "started")


def parse_filter(column: Column, text: str) -> Filter:
    """The condition typed for a column.

    `>0.1` `<=3` `=adam` `!=adam` `1..5` (both ends count) `~part` `none` `any`; a number alone means equal, other
    text means contains.
    """
    text = text.strip()
    if text.lower() in ("none", "null", "-"):
        return Filter(column, "missing")
    if text.lower() in ("any", "*"):
        return Filter(column, "present")
    for op in (">=", "<=", "!=", ">", "<", "="):
        if text.startswith(op):
            rest = text[len(op) :].strip()
            return Filter(column, op, rest, _number(rest))
    if text.startswith("~"):
        return Filter(column, "contains", text[1:].strip())
    low, dots, high = text.partition("..")
    if dots and _number(low) is not None and _number(high) is not None:
        return Filter(column, "between", text, _number(low), _number(high))
    number = _number(text)
    return Filter(column, "=" if number is not None else "contains", text, number)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def encode_cursor(values: list[object]) -> str:
    """Where the next page begins."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def decode_cursor(text: str, width: int) -> list[object]:
    """The values in a cursor. Raises `Problem` if it isn't one of ours."""
    try:
        values = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        values = None
    ok = isinstance(values, list) and len(values) == width
    if not ok or not all(v is None or isinstance(v, str | int | float) for v in values):
        raise Problem("bad-cursor", "This link to a page is damaged; go back to the first page.")
    return values  # type: ignore[no-any-return]
