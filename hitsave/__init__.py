"""hitsave: `functools.cache` with super powers.

    from hitsave import memo

    @memo
    def features(path, window=7): ...

Results outlive the process, are shared by the team, and are used again only while the code and data that produced
them are unchanged. See docs/tutorial.md.

Importing this loads nothing but itself: every name below comes when it is first used, so that a start-up file can
import hitsave in every process of a machine.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.config import Config
    from hitsave.decorators import experiment, memo
    from hitsave.errors import HitSaveError, HitSaveWarning, ImpureWarning, NotCachedWarning
    from hitsave.evaluator.memo import CacheInfo
    from hitsave.functions import MemoFunction
    from hitsave.importhook import install_import_hook
    from hitsave.reporting import Report, report
    from hitsave.session import Session, configure, isolated
    from hitsave.values import register_codec, register_hasher
    from hitsave.version import __version__

__all__ = [
    "CacheInfo",
    "Config",
    "HitSaveError",
    "HitSaveWarning",
    "ImpureWarning",
    "MemoFunction",
    "NotCachedWarning",
    "Report",
    "Session",
    "__version__",
    "configure",
    "experiment",
    "install_import_hook",
    "isolated",
    "memo",
    "register_codec",
    "register_hasher",
    "report",
]

_HOME = {
    "CacheInfo": "evaluator.memo",
    "Config": "config",
    "HitSaveError": "errors",
    "HitSaveWarning": "errors",
    "ImpureWarning": "errors",
    "MemoFunction": "functions",
    "NotCachedWarning": "errors",
    "Report": "reporting",
    "Session": "session",
    "__version__": "version",
    "configure": "session",
    "experiment": "decorators",
    "install_import_hook": "importhook",
    "isolated": "session",
    "load_ipython_extension": "notebook",
    "memo": "decorators",
    "register_codec": "values",
    "register_hasher": "values",
    "report": "reporting",
    "unload_ipython_extension": "notebook",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(__import__(f"{__name__}.{home}", fromlist=[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
