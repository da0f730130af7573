"""The leases that this process holds: kept alive by a thread until their result is up, given back if there is none."""

from __future__ import annotations

import os
import threading

from hitsave.cloud.client import Client
from hitsave.cloud.transport import Refused, Unreachable
from hitsave.errors import CloudError
from hitsave.observe.watch import unseen
from hitsave.wire import Lease, WireError

TTL_S = 60
# A body that runs longer than this is no longer announced; others then compute for themselves.
MAX_BEATS = 24 * 60 * 3


class HeldLeases:
    """Leases by name. The thread runs only while there are any."""

    def __init__(self, client: Client, ttl_s: int = TTL_S) -> None:
        self._client = client
        self.ttl_s = ttl_s
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._leases: dict[str, tuple[Lease, int]] = {}
        self._promised: set[str] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, lease: Lease) -> None:
        """Keep this one alive from now on."""
        if self._pid != os.getpid():
            self._renew()  # a child doesn't hold its parent's leases
        with self._lock:
            self._leases[lease.name] = lease, 0
            if self._thread is None:
                self._ended.clear()
                thread = threading.Thread(target=self._beat, name="hitsave-leases", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return  # the interpreter is ending; the lease runs out by itself
                self._thread = thread

    def find(self, name: str) -> Lease | None:
        """The lease, if this process holds it."""
        if self._pid != os.getpid():
            return None
        found = self._leases.get(name)
        return found[0] if found else None

    @property
    def any(self) -> bool:
        """Whether this process holds one."""
        return self._pid == os.getpid() and bool(self._leases)

    def promise(self, name: str) -> None:
        """The result is on its way up: the lease is kept until it is there."""
        self._promised.add(name)

    def is_promised(self, name: str) -> bool:
        """Whether a result under this lease is on its way."""
        return name in self._promised

    def drop(self, name: str) -> Lease | None:
        """Hold it no longer, without telling the server (which ends a lease itself when the entry arrives)."""
        if self._pid != os.getpid():
            return None
        with self._lock:
            self._promised.discard(name)
            found = self._leases.pop(name, None)
            if not self._leases:
                self._ended.set()
        return found[0] if found else None

    def release(self, name: str) -> None:
        """Give it back: whoever waits may compute now. Never raises."""
        lease = self.drop(name)
        if lease is not None:
            try:
                self._client.release_lease(name, lease.token)
            except (CloudError, WireError):
                return  # it runs out by itself

    def release_all(self) -> None:
        """Give every lease back, at exit."""
        for name in list(self._leases) if self._pid == os.getpid() else ():
            self.release(name)

    def _beat(self) -> None:
        with unseen():
            self._beat_unseen()

    def _beat_unseen(self) -> None:
        while True:
            self._ended.wait(self.ttl_s / 3)
            with self._lock:
                if not self._leases:
                    self._thread = None
                    return
                held = list(self._leases.items())
            for name, (lease, beats) in held:
                try:
                    if beats > MAX_BEATS:
                        raise Refused(410, "lease-lost", "held for a day")
                    self._client.renew_lease(name, lease.token, self.ttl_s)
                    with self._lock:
                        if name in self._leases:
                            self._leases[name] = lease, beats + 1
                except Refused:
                    self.drop(name)
                except (Unreachable, WireError):
                    continue
