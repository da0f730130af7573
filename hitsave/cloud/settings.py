"""`CloudSettings`: where the server is, and how patient we are."""

from __future__ import annotations

from hitsave.cloud.leases import TTL_S
from hitsave.record import Record


class CloudSettings(Record):
    """Where the server is and how patient we are. `mode` is both, pull (never upload) or push (never look up).

    `budget_s` bounds a look-up; a download may also take as long as the computation that it saves. `wait_s` bounds how
    long a call waits for a colleague who computes the same just now; 0 never waits. `share_sources` also uploads the
    source text of what a result depends on, for `why` and the dashboard. `allow_pickle` says whose results that need
    pickle are read: local (this machine's own), signed (also the team's) or never.
    """

    url: str
    api_key: str
    project: str = "default"
    mode: str = "both"
    budget_s: float = 2.0
    wait_s: float = 60.0
    exit_wait_s: float = 2.0
    lease_s: int = TTL_S
    share_sources: bool = True
    strict: bool = False
    allow_pickle: str = "local"
