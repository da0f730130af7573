"""The IPython extension: `%load_ext hitsave` in a notebook or an IPython prompt.

    %hitsave                     what was reused and computed in this session
    %hitsave why train(3)        why this call is answered from the store, or why not; runs nothing
    %hitsave off, %hitsave on    run everything as if it weren't memoised, and go back
    %%memo [NAME ...]            memoise a cell: run it only if its code or what it reads has changed

In a notebook, a line under each cell that called memoised functions says how many were reused and computed.

IPython is imported by `magics` alone, which only an extension that is being loaded imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

EVENTS = ("pre_run_cell", "post_run_cell")
_lines: list[Any] = []


def load_ipython_extension(shell: Any) -> None:
    """Called by `%load_ext hitsave`."""
    from hitsave.importhook import install_import_hook
    from hitsave.notebook.magics import HitsaveMagics

    install_import_hook()
    magics = HitsaveMagics(shell)
    shell.register_magic_function(magics.hitsave, "line", "hitsave")
    shell.register_magic_function(magics.memo, "cell", "memo")
    if hasattr(shell, "kernel"):  # at a prompt, `%hitsave` says it
        from hitsave.notebook.line import StatusLine

        line = StatusLine(shell)
        for event in EVENTS:
            shell.events.register(event, getattr(line, event))
        _lines.append(line)


def unload_ipython_extension(shell: Any) -> None:
    """Called by `%unload_ext hitsave`. What is decorated stays decorated."""
    for kind, name in (("line", "hitsave"), ("cell", "memo")):
        shell.magics_manager.magics[kind].pop(name, None)
    while _lines:
        line = _lines.pop()
        for event in EVENTS:
            shell.events.unregister(event, getattr(line, event))
