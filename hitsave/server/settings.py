"""`Settings`: everything a server can be told, with its limits. Sizes in bytes, times in seconds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """How one server runs.

    `database_url` "" means `data_dir/hitsave.db`; `blobs_url` "" means `data_dir/blobs`, else `s3://bucket/prefix`
    with the endpoint and credentials from the usual AWS_* environment. `allowed_hosts` are the Host headers answered
    beside the loop-back names ("*" answers all). `https` says that a proxy in front speaks TLS, so cookies are Secure.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8840
    database_url: str = ""
    blobs_url: str = ""
    allowed_hosts: tuple[str, ...] = ()
    https: bool = False
    max_json_bytes: int = 1 << 20
    max_blob_bytes: int = 5 << 30
    max_record_bytes: int = 256 << 10
    idle_s: float = 30.0
    upload_keep_s: float = 24 * 3600.0
    unreferenced_keep_s: float = 3600.0
    session_keep_s: float = 14 * 24 * 3600.0
    max_total_bytes: int = 0
    requests_per_s: float = 2000.0
    failed_logins_per_minute: int = 20
    maintenance_every_s: float = 60.0
    log_requests: bool = False
    is_local_view: bool = False

    @property
    def database(self) -> str:
        """The SQLAlchemy URL to open."""
        return self.database_url or f"sqlite:///{self.data_dir / 'hitsave.db'}"

    @property
    def is_public(self) -> bool:
        """Whether other machines can reach the address."""
        return self.host not in LOOPBACK

    @property
    def url(self) -> str:
        """Where a person on this machine finds it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(self.host, self.host)
        return f"http{'s' if self.https else ''}://{host}:{self.port}"
