"""`Session`: the one place that chooses the parts and puts them together.

There is one per process, made when a memoised function is first called. Making it opens nothing either: the store
opens its database at the first look-up, the cloud is only there if it is configured. `configure(...)` and
`isolated(...)` put another one in its place.
"""

from __future__ import annotations

import os
import sys

from hitsave import joining
from hitsave.config import Config, load_config
from hitsave.importhook.cells import is_cell
from hitsave.project import Project, find_project, with_import_path
from hitsave.store.contract import LOCAL_ONLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hitsave.analysis import Closure
    from hitsave.digest import Fingerprint
    from hitsave.evaluator.code import Codebook
    from hitsave.evaluator.evaluator import Asked, Evaluator
    from hitsave.evaluator.memo import Memo
    from hitsave.explain.record import CodeState
    from hitsave.store.contract import Store
    from hitsave.store.disk import DiskStore
    from hitsave.symbol import Symbol

# Codecs whose decoders only yield data, whoever wrote the bytes.
DATA_CODECS = ("plain-1", "npy-1", "arrow-1", "safetensors-1", "tree-1")


class Session:
    """All parts of hitsave, wired for one project and one configuration. Safe to use from any thread."""

    def __init__(self, config: Config, project: Project) -> None:
        from hitsave.decorated import decorated
        from hitsave.evaluator.code import Codebook
        from hitsave.evaluator.conditions import Conditions
        from hitsave.evaluator.evaluator import Evaluator
        from hitsave.evaluator.lookup import LookUp
        from hitsave.evaluator.notices import Notices
        from hitsave.evaluator.packages import Packages
        from hitsave.evaluator.planner import Planner
        from hitsave.evaluator.recording import Recorder
        from hitsave.importhook import loaded
        from hitsave.store.memory import MemoryStore
        from hitsave.store.tiers import Tiers

        self.config = config
        self.project = project
        self.pid = os.getpid()
        self.memory = MemoryStore()
        self.disk: DiskStore = open_disk(config)
        self.cloud = open_cloud(config, self.disk)
        tiers: list[Any] = [self.memory, self.disk, *([self.cloud] if self.cloud is not None else [])]
        self.store: Store = Tiers(*tiers)
        self.notices = Notices()
        packages = Packages(config.third_party, dict(config.third_party_packages), records=self.disk)
        self.book: Codebook = Codebook(project, loaded(), self.disk, packages)
        loaded().recall = self._recall
        self.conditions = Conditions(project, self.disk)
        self.planner = Planner(self.book, config, self._keep_code, decorated)
        self.look = LookUp(self.store, self.conditions, self.planner, self._evaluate_child, self.notices)
        recorder = Recorder(config, self.store, self.conditions, self.planner, self.notices, self._details)
        self.evaluator = Evaluator(config, self.planner, self.look, recorder, self.disk.flights, self.notices)
        self.evaluator.witness = self.cloud
        if self.cloud is not None:
            self.cloud.stays_here = stays_here

    # -- functions ---------------------------------------------------------------------------------------------------

    def adopt(self, memo: Memo) -> Evaluator:
        """Take up a memoised function; the evaluator that answers for it."""
        path = memo.function.__code__.co_filename
        if os.path.isabs(path) and not is_cell(path) and not self.project.owns(path):
            self._extend(path)
        self.planner.add(memo)
        return self.evaluator

    def _extend(self, path: str) -> None:
        other = find_project(path)
        if other.owns(path):
            self.project = self.book.project = self.project.with_roots(*other.source_roots)

    # -- what the parts ask for --------------------------------------------------------------------------------------

    def _evaluate_child(self, child: Any) -> Any:
        """The result digest of a memoised call today; the call is evaluated if no stored result holds."""
        stored = self.planner.stored_child(child, self.look)
        memo = self.planner.memo(child.symbol)
        if stored is not None or memo is None or not child.call:
            return stored
        from hitsave.evaluation import Blob
        from hitsave.evaluator.wrapper import Raised
        from hitsave.observe import watch
        from hitsave.store.fetching import may_wait
        from hitsave.values import decode

        with watch.seen_again(), may_wait():
            result = self.evaluator.call(memo, decode(Blob("plain-1", child.call, len(child.call))))
        return None if type(result) is Raised else self.planner.stored_child(child, self.look)

    def _recall(self, digest: str) -> bytes | None:
        """The text with this digest, if some evaluation has kept it."""
        import zlib

        record = self.disk.get_record("source", digest)
        try:
            return None if record is None else zlib.decompress(record)
        except zlib.error:
            return None

    def _keep_code(self, fingerprint: Fingerprint, closure: Closure, stands: Callable[[], bool]) -> bool:
        """Keep what is behind a fingerprint, unless that no longer stands once it is collected; whether it is kept."""
        is_private = any(stays_here(name) for name in closure.start)
        if is_private:
            self.disk.put_record(LOCAL_ONLY, fingerprint, b"1")
        elif self.disk.get_record(LOCAL_ONLY, fingerprint) is not None:
            self.disk.remove_record(LOCAL_ONLY, fingerprint)
        if self.disk.get_record("closure", fingerprint) is not None:
            return True
        import zlib

        from hitsave.explain.record import encode_code

        store: Store = self.disk if is_private else self.store
        sources = self.book.sources(closure)
        state = self.code_state(closure)
        if not stands():
            return False
        for source in sources.values():
            if self.disk.get_record("source", source.digest) is None:
                store.put_record("source", source.digest, zlib.compress(source.data))
        store.put_record("closure", fingerprint, encode_code(state))
        return True

    def code_state(self, closure: Closure) -> CodeState:
        """The code behind a closure in the form that explanations compare."""
        from hitsave.explain.record import CodeState

        versions = self.book.packages.versions(closure.packages)
        sources = {module: source.digest for module, source in self.book.sources(closure).items()}
        return CodeState(closure.pairs, tuple(sorted(versions.items())), tuple(sorted(sources.items())))

    def _details(self, asked: Asked, result: Any) -> str:
        from hitsave.experiments import details

        return details(asked, result, self.project)

    def close(self) -> None:
        """Finish what is under way (uploads) and let go of files. Calls go on working: what they need opens again."""
        self.store.close()

    def tidy(self) -> None:
        """Bring the cache within its limits if this process stored something: once a day, or if a function has one."""
        if not self.disk.database.has_written:
            return
        from hitsave.store.collect import FunctionLimit, Limits, collect, is_due

        functions = tuple(
            FunctionLimit(memo.symbol, memo.options.max_entries)
            for memo in self.planner.memos()
            if memo.options.max_entries is not None and memo.misses
        )
        if functions or is_due(self.disk):
            from hitsave.explain.record import sources_of

            limits = Limits(self.config.max_size, self.config.max_age, functions)
            collect(self.disk, limits, sources_of=sources_of)
            self.disk.close()


def stays_here(name: Symbol) -> bool:
    """Whether results of this function never leave the machine (`local_only=True`)."""
    from hitsave.decorated import decorated

    memo = decorated(name)
    return memo is not None and memo.options.local_only


def open_disk(config: Config) -> DiskStore:
    """The local store of this configuration; nothing is opened before it is first used."""
    from hitsave.store.disk import DiskStore

    return DiskStore(config.dir, config.config_dir, verify=config.verify, data_codecs=DATA_CODECS)


def open_cloud(config: Config, disk: DiskStore) -> Any:
    """The team's server as a store, None if there is none or we are offline."""
    if not config.remote or config.offline:
        return None
    from hitsave.cloud.credentials import find_key
    from hitsave.cloud.store import CloudSettings, CloudStore

    settings = CloudSettings(
        url=config.remote,
        api_key=config.api_key or find_key(config.config_dir, config.remote),
        project=config.project,
        mode="pull" if config.mode == "readonly" else config.remote_mode,
        strict=config.verify == "strict",
        allow_pickle=config.allow_pickle,
    )
    return CloudStore(settings, config_dir=config.config_dir, outbox_dir=os.path.join(config.dir, "outbox"), local=disk)


_current: Session | None = None
_given: dict[str, Any] = {}


def current() -> Session:
    """The session of this process; made at the first call, for the project of the running script."""
    global _current
    session = _current
    if session is None:
        project = find_project(_start_folder())
        config = load_config(project.root, **_given)
        if config.roots:
            project = project.with_roots(*[os.path.join(project.root, root) for root in config.roots])
        session = _current = Session(config, _with_hook(with_import_path(project, sys.path)))
        import atexit

        atexit.register(_close_at_exit)
        for join in joining.when_made:
            join(session)
    return session


def _with_hook(project: Project) -> Project:
    """The project, with the import hook installed for those of its source roots that lie outside its root."""
    from hitsave.importhook import current_hook
    from hitsave.project import project_at

    hook = current_hook()
    if hook.installed:
        outside = [root for root in project.source_roots if not root.startswith(project.root)]
        hook.install(*[project_at(root) for root in outside])
    return project


def configure(**settings: Any) -> Config:
    """Set settings for this process, above environment and files; gives all that are now in force.

    Functions that were called before use the new settings at their next call. Raises `ConfigError` for an unknown
    setting or value.
    """
    load_config(os.getcwd(), **{**_given, **settings})  # so that a wrong one changes nothing
    _given.update(settings)
    reset()
    return current().config


def reset() -> None:
    """Let the next call make a new session."""
    global _current
    session, _current = _current, None
    from hitsave.decorated import disconnect

    disconnect()
    if session is not None:
        session.close()


class isolated:
    """Context manager: a store of its own in `directory` (a temporary one if None), and what else is set.

    For tests: what ran before isn't seen, and what is stored isn't kept.
    """

    def __init__(self, directory: str | None = None, **settings: Any) -> None:
        self._directory = directory
        self._settings = settings
        self._temporary: Any = None
        self._before: dict[str, Any] = {}

    def __enter__(self) -> Session:
        if self._directory is None:
            import tempfile

            self._temporary = tempfile.TemporaryDirectory(prefix="hitsave-", ignore_cleanup_errors=True)
            self._directory = self._temporary.name
        self._before = dict(_given)
        _given.update(self._settings, dir=self._directory)
        reset()
        return current()

    def __exit__(self, *_: object) -> None:
        _given.clear()
        _given.update(self._before)
        reset()
        if self._temporary is not None:
            self._temporary.cleanup()


def _close_at_exit() -> None:
    if _current is not None and _current.pid == os.getpid():
        _current.close()
        try:
            _current.tidy()
        except Exception as error:  # noqa: BLE001 - promise 2: a cache that is too large is not this program's trouble
            from hitsave.errors import StoreWarning

            text = f"the cache was not brought within its limits: {error!r}"
            _current.notices.say(StoreWarning, text, hint="Run `hitsave gc`.")


def _start_folder() -> str:
    from hitsave.importhook.scope import start_folder

    return start_folder()


def _after_fork() -> None:
    """In a forked child: only the forking thread is left, and nobody else's evaluation ends here."""
    from hitsave.observe import running, watch

    watch.forget_after_fork()
    running.renew_lock()
    if _current is not None:
        _current.pid = os.getpid()
        _current.book.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
