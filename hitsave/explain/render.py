"""Python source for people, rendered from syntax trees. The one home of astor.

A diff of normalised text shows what an edit *means*: comments, layout and docstrings, which no fingerprint counts, are
gone from both sides. astor lays long lines out better than `ast.unparse`, but it was written for older Pythons and is
wrong on some newer syntax, so its text is used only if it parses back to the very same tree. No key depends on it.
"""

from __future__ import annotations

import ast
import difflib
import textwrap
import warnings

CONTEXT_LINES = 3


def render_tree(tree: ast.Module) -> str:
    """The source of `tree`: astor's if that parses back to the same tree, else that of `ast.unparse`."""
    return _render_with_astor(tree) or ast.unparse(tree) + "\n"


def render_definition(text: str) -> str:
    """`text`, a definition as it stands in a file, without comments, layout and docstrings.

    Text that doesn't parse by itself comes back as it is.
    """
    try:
        tree = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError):
        return textwrap.dedent(text)
    return render_tree(_without_docstrings(tree)).strip("\n")


def definition_diff(before: str | None, after: str | None) -> str:
    """A unified diff between two versions of one definition, without file headers; None means it isn't there.

    Where the normalised texts are equal (a docstring that counts because code reads it), the texts as written are
    compared.
    """
    old, new = before or "", after or ""
    lines = _diff(render_definition(old), render_definition(new)) or _diff(textwrap.dedent(old), textwrap.dedent(new))
    return "\n".join(lines)


def _diff(old: str, new: str) -> list[str]:
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=CONTEXT_LINES))
    hunks = ["  …" if line.startswith("@@") else line for line in lines[2:]]  # two lines of file names lead
    return hunks[1:]


def _render_with_astor(tree: ast.Module) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astor names node classes that Python 3.12 deprecates
            import astor

            text: str = astor.to_source(tree)
        same = ast.dump(ast.parse(text)) == ast.dump(tree)
    except Exception:  # noqa: BLE001 - astor fails in many ways on syntax it doesn't know; ast.unparse takes over
        return None
    return text if same else None


class _DropDocstrings(ast.NodeTransformer):
    def _drop(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body: list[ast.stmt] = getattr(node, "body", [])
        if body and _is_text(body[0]):
            body[:1] = [] if len(body) > 1 else [ast.Pass()]
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _drop


def _is_text(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    stripped: ast.Module = _DropDocstrings().visit(tree)
    return ast.fix_missing_locations(stripped)
