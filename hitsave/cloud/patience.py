"""`Patience`: how long one call waits for a colleague who computes the same."""

from __future__ import annotations

import threading
import time

from hitsave.evaluation import Key
from hitsave.wire.messages import lease_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.cloud.store import CloudStore

# A request that waits at the server occupies a connection, and others want to look up meanwhile.
MOST_LONG_POLLS = 4
LONGEST_POLL_S = 25
PAUSE_S = 0.25
_long_polls = threading.BoundedSemaphore(MOST_LONG_POLLS)


class Patience:
    """The waiting of one call for the lease on `key`.

    Who holds leases itself waits at most two lease times, so two processes that wait for each other both go on.
    """

    def __init__(self, store: CloudStore, key: Key) -> None:
        self.name = lease_name(key)
        self.waited = False
        self._store = store
        self._until: float | None = None

    def lasts(self) -> bool:
        """Whether to wait (on): not for ourselves, not for ever, and not soon after waiting in vain."""
        store, now = self._store, time.monotonic()
        if self._until is None:
            if store.leases.find(self.name) is not None or now < store.no_waiting_until:
                return False
            wait_s = store.settings.wait_s
            self._until = now + (min(wait_s, 2.0 * store.settings.lease_s) if store.leases.any else wait_s)
        if now < self._until:
            self.waited = True
            return True
        # A holder that never comes to an end, or a server that lies: don't wait again for a while.
        store.no_waiting_until = now + 10 * store.settings.wait_s
        return False

    def wait(self) -> None:
        """Come back when the holder is done or gone, or it is time to see whether there is patience left."""
        left = (self._until or 0.0) - time.monotonic()
        if not _long_polls.acquire(blocking=False):
            time.sleep(max(0.0, min(PAUSE_S, left)))
            return
        try:
            if not self._long_poll(int(max(1, min(LONGEST_POLL_S, left)))):
                self._until = 0.0
        finally:
            _long_polls.release()

    def _long_poll(self, wait_s: int) -> bool:
        store = self._store
        budget_s = wait_s + store.settings.budget_s
        return bool(store.asking.ask(lambda: store.client.wait_for_lease(self.name, wait_s, budget_s)))
