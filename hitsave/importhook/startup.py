"""`bootstrap`: installs the hook while Python starts, and never gets in its way.

Called from a `.pth` file, from a `.start` file (Python 3.15, PEP 829) or from a `sitecustomize`; see
`sitecustomize_example/`. What decides, in this order:

* `-I` and `-E` (ignore the environment): nothing happens.
* pip, venv and their like: nothing happens, they have no business with a project.
* `HITSAVE_AUTOINSTALL` says yes or no. Unset means no, unless whoever calls us was put there on purpose
  (`bootstrap(default=True)`, as the example's `sitecustomize.py` does).

Whatever fails is one line on stderr; the program that Python was started for runs.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.importhook.hook import Hook

SWITCH = "HITSAVE_AUTOINSTALL"
NO = ("0", "false", "no", "off")
# Programs that build and mend environments, by the name of their script or of the module behind `-m`.
BYSTANDERS = frozenset(("pip", "pip3", "ensurepip", "venv", "virtualenv", "uv", "build", "compileall", "site"))

_complaints: list[str] = []


def bootstrap(*, default: bool = False) -> Hook | None:
    """Install the hook if it is wanted in this process; the hook, or None. Never raises."""
    if not is_wanted(default=default):
        return None
    try:
        from hitsave.importhook.process import install_import_hook

        return install_import_hook()
    except Exception as error:  # noqa: BLE001 - a broken installation of ours must not break every Python on the machine
        complaint = f"hitsave: not active in this process: {type(error).__name__}: {error}\n"
        if complaint not in _complaints:  # `site` runs the .pth files of a virtual environment twice
            _complaints.append(complaint)
            sys.stderr.write(complaint)
        return None


def is_wanted(*, default: bool = False) -> bool:
    """Whether the hook is to be installed in this process."""
    if sys.flags.isolated or sys.flags.ignore_environment:
        return False
    switch = os.environ.get(SWITCH, "").strip().lower()
    if switch in NO or (not switch and not default):
        return False
    return _program() not in BYSTANDERS


def run_shadowed_sitecustomize(path: str) -> None:
    """Run the `sitecustomize` that Python would have found without the one at `path`, as Python would have.

    The file that calls this hides it: there is one module of that name. What it raises is for `site` to report.
    """
    from _frozen_importlib import module_from_spec  # importlib.util has the same, and costs 3 ms
    from _frozen_importlib_external import PathFinder

    here = os.path.dirname(os.path.abspath(path))
    elsewhere = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != here]
    spec = PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is None or spec.loader is None or spec.origin == path:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _program() -> str:
    """The name of the script or module that Python was started for, "" if unknown."""
    words: list[str] = getattr(sys, "orig_argv", [])
    for position, word in enumerate(words[1:], 1):
        if word == "-m":
            return words[position + 1] if position + 1 < len(words) else ""
        if word.startswith("-m") and len(word) > 2:
            return word[2:]
        if word in ("-X", "-W", "--check-hash-based-pycs"):
            continue
        if not word.startswith("-"):
            name = os.path.basename(word)
            return name[: -len(".exe")] if name.endswith(".exe") else name
        if word.startswith("-c"):
            return ""
    return ""
