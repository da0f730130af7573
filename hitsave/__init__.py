"""hitsave: `functools.cache` with super powers.

    from hitsave import memo

    @memo
    def features(path, window=7): ...

Results outlive the process, are shared by the team, and are used again only while the code and data that produced
them are unchanged. See docs/tutorial.md.

Importing this loads nothing but itself: every name below comes when it is first used, so that a start-up file can
import hitsave in every process of a machine. (PYTEST_DONT_REWRITE: pytest then has nothing to say about that.)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.cloud.snapshots import DirectorySnapshot, FileSnapshot
    from hitsave.config import Config
    from hitsave.decorators import experiment, memo
    from hitsave.errors import HitSaveError, HitSaveWarning, ImpureWarning, NotCachedWarning
    from hitsave.evaluator.memo import CacheInfo
    from hitsave.functions import MemoFunction
    from hitsave.importhook import install_import_hook
    from hitsave.live.reloading import reload
    from hitsave.live.starting import live
    from hitsave.reporting import Report, report
    from hitsave.session import Session, configure, isolated
    from hitsave.values import register_codec, register_hasher
    from hitsave.version import __version__

__all__ = [
    "CacheInfo",
    "Config",
    "DirectorySnapshot",
    "FileSnapshot",
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
    "live",
    "memo",
    "register_codec",
    "register_hasher",
    "reload",
    "report",
]

_HOME = {
    "CacheInfo": "evaluator.memo",
    "Config": "config",
    "DirectorySnapshot": "cloud.snapshots",
    "FileSnapshot": "cloud.snapshots",
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
    "live": "live",
    "load_ipython_extension": "notebook",
    "memo": "decorators",
    "register_codec": "values",
    "register_hasher": "values",
    "reload": "live.reloading",
    "report": "reporting",
    "unload_ipython_extension": "notebook",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if home == "decorators":
        _offer_live()
        from hitsave.importhook import install_import_hook

        # What is imported after this line is recorded exactly; what was before has to be attested.
        install_import_hook().note_earlier()
    if home == name:  # the package itself, which can be called
        return __import__(f"{__name__}.{home}", fromlist=["*"])
    found = getattr(__import__(f"{__name__}.{home}", fromlist=[name]), name)
    globals()[name] = found
    return found


def _offer_live() -> None:
    """Let sessions be live where somebody is likely to edit code while the process runs."""
    from hitsave import joining

    if not joining.when_made:
        joining.when_made.append(_join_live)


def _join_live(session: Session) -> None:
    mode = session.config.live
    if mode == "auto":
        import sys

        # A prompt, a notebook, or a server, which `join` tells for certain: all else isn't worth its import.
        interactive = sys.flags.interactive or hasattr(sys, "ps1") or "IPython" in sys.modules
        if not interactive and sys.modules.keys().isdisjoint(_SERVERS):
            return
    if mode != "off":
        from hitsave.live.starting import join

        join(session)


_SERVERS = ("uvicorn", "gunicorn", "hypercorn", "werkzeug.serving", "django.core.servers", "tornado.httpserver")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
