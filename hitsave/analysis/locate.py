"""From a code object's name and line to its symbol, and from a symbol to its text."""

from __future__ import annotations

from hitsave.analysis.summary import Class, Import, ModuleSummary
from hitsave.source import Source
from hitsave.symbol import MODULE, Symbol, outermost, symbol


def locate(summary: ModuleSummary, qualname: str, line: int) -> Symbol:
    """The symbol of the code object with this `co_qualname` and `co_firstlineno`.

    Code nested in a function belongs to that function. A lambda, a comprehension or a generator expression outside any
    function belongs to the definition that its line stands in, and to the module's statements failing that.
    """
    name = outermost(qualname)
    if name == MODULE or name.rpartition(".")[2][:1] != "<":
        return symbol(summary.module, name)
    best = ""
    smallest = None
    for found, definitions in summary.definitions.items():
        for definition in definitions:
            if definition.line <= line <= definition.end_line and not isinstance(definition, (Class, Import)):
                size = definition.end_line - definition.line
                if smallest is None or size < smallest:
                    best, smallest = found, size
    owner = name.rpartition(".")[0]
    return symbol(summary.module, best or owner or MODULE)


def definition_text(source: Source, name: str) -> str | None:
    """The lines of a definition (`Class.method`, `NAME`), all bindings of it; None if the source doesn't define it."""
    from hitsave.analysis.summariser import summarise

    definitions = summarise(source).definitions.get(name)
    if definitions is None:
        return None
    lines = _text(source.data).splitlines(keepends=True)
    spans = dict.fromkeys((d.line, d.end_line) for d in definitions)
    return "".join(["".join(lines[first - 1 : last]) for first, last in spans])


def _text(data: bytes) -> str:
    import io
    import tokenize

    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        text = data.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")
