"""`%hitsave` and `%%memo`."""

from __future__ import annotations

import ast
import sys
from typing import Any

from IPython.core.error import UsageError

from hitsave.notebook.cell import SHOWN, CannotMemoise, make_function

USAGE = "%hitsave [status | why CALL | off | on]"
PASSED_ON = "_hitsave_explain"


class HitsaveMagics:
    """What hitsave adds to the IPython `shell`."""

    def __init__(self, shell: Any) -> None:
        self._ipython = shell

    def hitsave(self, line: str) -> None:
        """What hitsave did in this session, why it did it, and its switch."""
        command, _, rest = line.strip().partition(" ")
        if command in ("", "status"):
            _say(status_text())
        elif command == "why":
            _say(self._why(rest.strip()))
        elif command in ("off", "on"):
            from hitsave.session import configure

            configure(mode=command)
            _say(f"hitsave is {command}")
        else:
            raise UsageError(f"{USAGE}: what is {command!r}?")

    def memo(self, line: str, cell: str) -> None:
        """Run the cell only if its code or what it reads has changed; else assign what it assigned."""
        from hitsave.decorators import memo

        namespace = self._ipython.user_ns
        source = self._ipython.transform_cell(cell)
        try:
            made = make_function(source, line.split(), namespace, self._ipython.compile.cache(source))
        except CannotMemoise as error:
            raise UsageError(f"%%memo: {error}") from None
        result = memo(made.function)(*[namespace[name] for name in made.inputs])
        shown = result.pop(SHOWN, None)
        namespace.update(result)
        if shown is not None:
            self._ipython.displayhook(shown)

    def _why(self, call: str) -> str:
        try:
            node: ast.expr | None = ast.parse(call, mode="eval").body
        except SyntaxError:
            node = None
        if not isinstance(node, ast.Call):
            raise UsageError("%hitsave why CALL, such as: %hitsave why train(data, lr=0.1)")
        name = ast.unparse(node.func)
        explain = getattr(self._ipython.ev(name), "explain", None)
        if explain is None:
            raise UsageError(f"{name} is not memoised")
        # Python itself evaluates and binds the arguments: the same call, to a function that explains it.
        self._ipython.user_ns[PASSED_ON] = explain
        try:
            node.func = ast.Name(PASSED_ON, ast.Load())
            explanation = self._ipython.ev(ast.unparse(ast.fix_missing_locations(node)))
        finally:
            del self._ipython.user_ns[PASSED_ON]
        return str(explanation.text())


def status_text() -> str:
    """What was reused and computed in this session, a line per function."""
    from hitsave.reporting import report

    found = report()
    lines = [f"  {used.symbol}: {used.reused} reused, {used.computed} computed" for used in found.functions]
    return "\n".join([str(found), *lines])


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
