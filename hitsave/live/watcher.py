"""`Watcher`: file events through watchdog, or a sweep each second where there are none.

Events are hints. The handler notes the path and returns; what the file holds decides later. A directory event, or lost
events, mean that every loaded file has to be looked at again (`RESYNC`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hitsave.live.folders import Folders

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent

# Noted instead of a path: look at all files.
RESYNC = ""
SUFFIXES = (".py", ".pyw")


class Watcher:
    """Tells `note(path)` what may have changed in the folders it watches.

    `polls` says that there are no events (for some folders at least): whoever owns the watcher has to sweep.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._observer: Any = None
        self._watched: dict[tuple[str, bool], Any] = {}
        self._overflow = _Overflow(note)
        self.inputs: frozenset[str] = frozenset()  # other files to tell about: data that was read
        self.polls = False
        self.trouble = ""

    def watch(self, folders: Folders) -> None:
        """Watch these folders from now on, and no others."""
        self.polls = bool(folders.swept)
        self.trouble = f"{folders.swept[0]} gives no events" if folders.swept else ""
        try:
            self._start()
            for key in [key for key in self._watched if key not in folders.watched]:
                self._observer.unschedule(self._watched.pop(key))
            for folder, recursive in folders.watched:
                if (folder, recursive) not in self._watched and os.path.isdir(folder):
                    self._watched[folder, recursive] = self._schedule(folder, recursive)
        except OSError as error:  # no inotify here, or the user's watches are used up
            self.polls = True
            self.trouble = f"no file events: {error}"
        self._note(RESYNC)  # what happened between loading and watching

    def stop(self) -> None:
        """Watch nothing."""
        logging.getLogger("watchdog.observers").removeHandler(self._overflow)
        observer, self._observer = self._observer, None
        self._watched.clear()
        if observer is not None:
            observer.stop()
            if observer.is_alive():
                observer.join(timeout=5)

    def abandon(self) -> None:
        """Forget the observer: in a forked child its threads don't exist."""
        self._observer = None
        self._watched.clear()

    # -- private -----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._observer is None:
            from watchdog.observers import Observer

            observer = Observer()
            observer.daemon = True
            observer.start()
            self._observer = observer
            logging.getLogger("watchdog.observers").addHandler(self._overflow)

    def _schedule(self, folder: str, recursive: bool) -> Any:
        from watchdog import events

        kinds = [
            events.FileModifiedEvent, events.FileCreatedEvent, events.FileDeletedEvent, events.FileMovedEvent,
            events.DirMovedEvent, events.DirDeletedEvent, events.DirCreatedEvent,
        ]  # fmt: skip
        handler: Any = _Handler(self._told)
        return self._observer.schedule(handler, folder, recursive=recursive, event_filter=kinds)

    def _told(self, event: FileSystemEvent) -> None:
        for name in (event.src_path, getattr(event, "dest_path", "")):
            path = os.fsdecode(name)
            if event.is_directory:
                if path and not path.endswith("__pycache__"):
                    self._note(RESYNC)
            elif path.endswith(SUFFIXES) or path in self.inputs:
                self._note(path)


class _Handler:
    """What watchdog calls for each event; it asks for nothing but `dispatch`."""

    def __init__(self, told: Callable[[FileSystemEvent], None]) -> None:
        self.dispatch = told


class _Overflow(logging.Handler):
    """Hears watchdog say that events were lost; it says so in its log, and nowhere else."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        """Have everything looked at again."""
        if "overflow" in record.getMessage().lower():
            self._note(RESYNC)
