"""Programs with an edit: small projects as text, what is edited, and whose results that may change.

    == the body of a called function changes
    m.py:       def inner(x): return x + 1
                def top(x): return inner(x)
                def other(x): return x
    edit m.py:  x + 1 => x + 2
    call:       m:top(3)
    affected:   m:top
    spared:     m:other

A section starts at the beginning of a line and ends where the next one starts; its text is dedented. Many programs
stand in one file, by topic.

`edit FILE:` either replaces a piece of text that occurs once (`old => new`, several on separate lines), or, without an
arrow, gives statements that take the place of those that bind the same names (others are added at the end).
`new FILE:` writes a file, `delete FILE:` removes it. `call:` is the call of a memoised function, `setup:` are
statements that run in the process first. `affected:` and `spared:` name functions: the fingerprints of the former must
change, of the latter not. Under `ran/`, `ran:` names the functions that run in the call as written, and `earlier:`
those that ran before it in the process. `python:` is the lowest version that the program runs on.
"""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

_SECTION = re.compile(r"(?P<head>[a-z]+|(?:edit |new |delete )?[\w/.\-]+\.\w+):(?P<rest>.*)")


@dataclass(frozen=True)
class Program:
    """One program: its files before and after the edit."""

    title: str
    where: str
    before: dict[str, str]
    after: dict[str, str]
    call: str = ""
    setup: str = ""
    affected: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()
    ran: tuple[str, ...] | None = None
    earlier: tuple[str, ...] = ()
    python: tuple[int, ...] = (3, 10)
    notes: str = field(default="", compare=False)

    @property
    def function(self) -> str:
        """The symbol of the function that is called."""
        return self.call.partition("(")[0]


def load_programs(folder: Path) -> list[Program]:
    """Every program in the `.txt` files of a folder, in order."""
    found = []
    for path in sorted(folder.glob("*.txt")):
        found += parse_programs(path.read_text("utf-8"), path.name)
    return found


def parse_programs(text: str, name: str = "<text>") -> list[Program]:
    """The programs in a text."""
    programs = []
    for number, block in _blocks(text):
        title, _, body = block.partition("\n")
        programs.append(_program(title.strip(), f"{name}:{number}", _sections(body, f"{name}:{number}")))
    return programs


def _blocks(text: str) -> list[tuple[int, str]]:
    found: list[tuple[int, list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("== "):
            found.append((number, [line[3:]]))
        elif found:
            found[-1][1].append(line)
    return [(number, "\n".join(lines)) for number, lines in found]


def _sections(body: str, where: str) -> list[tuple[str, str]]:
    found: list[tuple[str, list[str]]] = []
    for line in body.splitlines():
        match = _SECTION.fullmatch(line)
        if match:
            # Keep the column, so that the lines below are dedented together with the first one.
            indent = len(match["head"]) + 1
            found.append((match["head"], [" " * indent + match["rest"]]))
        elif not line.strip():
            if found:
                found[-1][1].append("")
        elif line.startswith("#"):
            continue
        elif found:
            found[-1][1].append(line)
        else:
            raise ValueError(f"{where}: text outside a section: {line}")
    return [(head, _dedent(lines)) for head, lines in found]


def _dedent(lines: list[str]) -> str:
    if not lines[0].strip():
        lines = lines[1:]
    return textwrap.dedent("\n".join(lines)).strip("\n") + "\n"


def _program(title: str, where: str, sections: list[tuple[str, str]]) -> Program:
    before: dict[str, str] = {}
    changes: list[tuple[str, str, str]] = []
    fields: dict[str, str] = {}
    for head, text in sections:
        verb, _, file = head.rpartition(" ")
        if verb:
            changes.append((verb, file, text))
        elif "." in head:
            before[head] = text
        else:
            fields[head] = text.strip("\n")
    after = dict(before)
    for verb, file, text in changes:
        _change(after, verb, file, text, where)
    if not changes:
        raise ValueError(f"{where}: no edit")
    version = fields.pop("python", "3.10").strip()
    ran = fields.pop("ran", None)
    return Program(
        title,
        where,
        before,
        after,
        call=fields.pop("call", "").strip(),
        setup=fields.pop("setup", ""),
        affected=tuple(fields.pop("affected", "").split()),
        spared=tuple(fields.pop("spared", "").split()),
        ran=None if ran is None else tuple(ran.split()),
        earlier=tuple(fields.pop("earlier", "").split()),
        python=tuple(int(part) for part in version.split(".")),
        notes=" ".join(fields.values()),
    )


def _change(files: dict[str, str], verb: str, file: str, text: str, where: str) -> None:
    if verb == "new":
        files[file] = text
    elif verb == "delete":
        del files[file]
    elif "=>" in text:
        for line in text.splitlines():
            old, _, new = line.partition("=>")
            old, new = old.strip(), new.strip()
            if files[file].count(old) != 1:
                raise ValueError(f"{where}: {old!r} occurs {files[file].count(old)} times in {file}")
            files[file] = files[file].replace(old, new)
    else:
        files[file] = replace_definitions(files[file], text)


def replace_definitions(text: str, new: str) -> str:
    """`text` with statements of `new` in place of those that bind the same names."""
    lines = text.splitlines()
    added = new.splitlines()
    for node in ast.parse(new).body:
        first = min([node.lineno, *[d.lineno for d in getattr(node, "decorator_list", ())]])
        piece = added[first - 1 : node.end_lineno]
        spot = next((s for s in ast.parse("\n".join(lines)).body if _names(s) & _names(node)), None)
        if spot is None:
            lines += piece
        else:
            start = min([spot.lineno, *[d.lineno for d in getattr(spot, "decorator_list", ())]])
            lines[start - 1 : spot.end_lineno] = piece
    return "\n".join(lines) + "\n"


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
