"""Printing: tables and colours (rich) on a terminal, plain aligned text in a pipe, JSON when asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hitsave.errors import HitSaveError

NUMERIC = frozenset("0123456789.,-–* ")


class Output:
    """Where a command prints.

    `emit` is for data and does nothing without `--json`; everything else does nothing with it, so a command says both
    and the reader gets one.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self.is_terminal = sys.stdout.isatty()

    def emit(self, data: Any) -> None:
        """Print `data` as JSON, if JSON was asked for."""
        if self.json:
            print(json.dumps(data, ensure_ascii=False, indent=2))

    def line(self, text: str = "", *, style: str = "") -> None:
        """Print a line for people; `style` is a style of rich, used on a terminal only."""
        if self.json:
            return
        if style and self.is_terminal:
            from rich.console import Console

            Console(highlight=False).print(text, style=style, markup=False, soft_wrap=True)
        else:
            print(text)

    def remark(self, text: str) -> None:
        """Print a line that only explains; `--quiet` leaves it out."""
        if not self.quiet:
            self.line(text, style="dim")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; columns that hold only numbers are aligned to the right."""
        if self.json:
            return
        right = [all(set(row[i]) <= NUMERIC for row in rows) and bool(rows) for i in range(len(columns))]
        if self.is_terminal:
            self._rich_table(columns, rows, right)
            return
        widths = [max(len(text) for text in column) for column in zip(columns, *rows, strict=True)]
        for row in (columns, *rows):
            cells = zip(row, widths, right, strict=True)
            print("  ".join(f"{cell:>{w}}" if r else f"{cell:<{w}}" for cell, w, r in cells).rstrip())

    def diff(self, text: str) -> None:
        """Print lines of which some may be of a diff, those coloured on a terminal."""
        for line in text.splitlines():
            mark = line.strip()[:1]
            self.line(line, style={"+": "green", "-": "red"}.get(mark, ""))

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """A bar on a terminal, told how much is done and how much is left; elsewhere nothing is shown."""
        if self.json or self.quiet or not self.is_terminal:
            yield lambda done, left: None
            return
        from rich.progress import Progress

        with Progress(transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, left: bar.update(task, completed=done, total=done + left)

    def error(self, error: HitSaveError) -> None:
        """Print an error: its message and hint to stderr, and as JSON if that was asked for."""
        self.emit({"error": {"slug": error.slug, "message": error.message, "hint": error.hint}})
        print(f"hitsave: error: {error}", file=sys.stderr)

    def warn(self, text: str) -> None:
        """Print a warning to stderr."""
        print(f"hitsave: {text}", file=sys.stderr)

    def _rich_table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for name, numeric in zip(columns, right, strict=True):
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        Console(highlight=False).print(table)


def size_text(size_bytes: int) -> str:
    """`41 MB`: a size as people read it."""
    size, units = float(size_bytes), ("B", "KB", "MB", "GB", "TB")
    for unit in units:
        if size < 1000 or unit == units[-1]:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def time_text(seconds: float) -> str:
    """`18m 40s`, `2.5 s`, `340 ms`: a time as people read it."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {rest:02}s"


def age_text(seconds: float) -> str:
    """`3 days ago`: how long something is in the past."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = int(seconds // length)
        if count >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
