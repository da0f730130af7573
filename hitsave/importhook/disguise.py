"""`as_importlib`: a function whose frames Python leaves out of tracebacks, as it does with its own import system.

An exception that passes through an import would otherwise show our loader to a user who has nothing to do with it.
Python drops frames whose file name is that of the frozen `importlib` (`remove_importlib_frames` in CPython's import.c),
so the few functions of ours that user code runs below get that name. What they call is not disguised: it raises
nothing, and stays visible to coverage and debuggers.
"""

from __future__ import annotations

import _frozen_importlib as _bootstrap
import _frozen_importlib_external as _external

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    F = TypeVar("F", bound=Callable[..., object])

# importlib is two files: `_bootstrap`, which runs a module, calls `_bootstrap_external`, which loads it.
IMPORTLIB = _external.SourceFileLoader.set_data.__code__.co_filename
BOOTSTRAP = vars(_bootstrap)["_call_with_frames_removed"].__code__.co_filename


def as_importlib(function: F) -> F:
    """`function` itself, its code renamed to the file of importlib that loads modules."""
    function.__code__ = function.__code__.replace(co_filename=IMPORTLIB)
    return function


def as_bootstrap(function: F) -> F:
    """`function` itself, its code renamed to the file of importlib that runs modules."""
    function.__code__ = function.__code__.replace(co_filename=BOOTSTRAP)
    return function
