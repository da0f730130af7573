"""Every table, with what its columns hold. Times are seconds since the epoch, sizes bytes, `_s` seconds.

Changes go through `migrations/`; a test compares what they build with what is written here.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite numbers rows by itself only for a column declared exactly INTEGER.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time: sa.Double[float] = sa.Double()


def _id() -> sa.Column[int]:
    return sa.Column("id", Id, primary_key=True, autoincrement=True)


def _to(table: str, **kwargs: bool) -> sa.Column[int]:
    nullable = kwargs.pop("nullable", False)
    return sa.Column(f"{table[:-1]}_id", Id, sa.ForeignKey(f"{table}.id"), nullable=nullable, **kwargs)  # type: ignore[arg-type]


projects = sa.Table(
    "projects",
    metadata,
    _id(),
    sa.Column("slug", sa.String(63), nullable=False, unique=True),
    sa.Column("quota_bytes", sa.BigInteger, nullable=False, server_default="0"),  # 0: none
    sa.Column("created", Time, nullable=False),
)

users = sa.Table(
    "users",
    metadata,
    _id(),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    sa.Column("created", Time, nullable=False),
    sa.Column("disabled", Time),  # when; NULL: active
)

tokens = sa.Table(
    "tokens",
    metadata,
    _id(),
    _to("users"),
    _to("projects", nullable=True),  # NULL: every project
    sa.Column("sha256", sa.String(64), nullable=False, unique=True),  # the key itself is shown once and not kept
    sa.Column("start", sa.String(20), nullable=False),  # its first characters, to tell keys apart in a list
    sa.Column("scope", sa.String(10), nullable=False),  # read | write | admin
    sa.Column("label", sa.String(100), nullable=False),
    sa.Column("created", Time, nullable=False),
    sa.Column("expires", Time),
    sa.Column("last_used", Time),
    sa.Column("revoked", Time),
)

sessions = sa.Table(  # a browser that logged in with a key
    "sessions",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),  # of the cookie
    _to("tokens"),
    sa.Column("csrf", sa.String(64), nullable=False),
    sa.Column("created", Time, nullable=False),
    sa.Column("expires", Time, nullable=False),
)

login_codes = sa.Table(  # one-time links printed by `hitsave serve`
    "login_codes",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    _to("tokens"),
    sa.Column("expires", Time, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    _id(),
    sa.Column("at", Time, nullable=False, index=True),
    sa.Column("who", sa.String(100), nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("ip", sa.String(64), nullable=False),
)

blobs = sa.Table(
    "blobs",
    metadata,
    sa.Column("name", sa.String(80), primary_key=True),  # sha256-<hex>, of the bytes
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("data", sa.LargeBinary),  # the bytes if they are few, else NULL: in the blob storage
    sa.Column("state", sa.String(10), nullable=False),  # ready | deleting
    sa.Column("created", Time, nullable=False),
    sa.Column("last_used", Time, nullable=False, index=True),
)

blob_refs = sa.Table(  # who may see a blob, and why it is kept
    "blob_refs",
    metadata,
    sa.Column("blob", sa.String(80), sa.ForeignKey("blobs.name"), primary_key=True),
    sa.Column("project_id", Id, sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("kind", sa.String(10), primary_key=True),  # entry | snapshot | upload (kept for a grace period)
    sa.Column("ref", sa.String(80), primary_key=True),  # id of the entry, digest of the snapshot, "" for an upload
    sa.Column("created", Time, nullable=False),
    sa.Index("ix_blob_refs_upload", "kind", "created"),
)

uploads = sa.Table(  # resumable ones, in progress
    "uploads",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    _to("projects"),
    sa.Column("blob", sa.String(80), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("created", Time, nullable=False),
    sa.Column("expires", Time, nullable=False, index=True),
)

functions = sa.Table(  # with a summary kept up to date, so the first page never groups over all entries
    "functions",
    metadata,
    _id(),
    _to("projects"),
    sa.Column("symbol", sa.String(512), nullable=False),
    sa.Column("is_experiment", sa.Boolean, nullable=False),
    sa.Column("results", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("hits", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("misses", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("saved_s", sa.Double, nullable=False, server_default="0"),
    sa.Column("spent_s", sa.Double, nullable=False, server_default="0"),
    sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("conflicts", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("failed", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("last_started", Time, nullable=False, server_default="0"),
    sa.UniqueConstraint("project_id", "symbol"),
    sa.Index("ix_functions_recent", "project_id", "is_experiment", "last_started"),
)

versions = sa.Table(  # one per fingerprint of a function
    "versions",
    metadata,
    _id(),
    _to("functions"),
    sa.Column("fingerprint", sa.String(128), nullable=False),
    sa.Column("results", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("created", Time, nullable=False),
    sa.Column("first_by", sa.String(100), nullable=False),
    sa.UniqueConstraint("function_id", "fingerprint"),
)

entries = sa.Table(
    "entries",
    metadata,
    _id(),
    _to("projects"),
    _to("functions"),
    _to("versions"),
    sa.Column("arguments", sa.String(128), nullable=False),
    sa.Column("observed", sa.String(32), nullable=False),  # digest of all that was observed
    sa.Column("conditions", sa.String(32), nullable=False),  # digest of what must still hold: files, environment, …
    sa.Column("ran", sa.String(32), nullable=False),  # digest of the functions that ran; "" if not complete
    sa.Column("narrowed", sa.String(128), nullable=False),
    sa.Column("manifest", sa.Text, nullable=False),  # as signed, kept to the letter
    sa.Column("tag", sa.String(200), nullable=False),
    sa.Column("signer", sa.String(128), nullable=False),
    sa.Column("blob", sa.String(80), sa.ForeignKey("blobs.name"), nullable=False, index=True),
    sa.Column("result", sa.String(128), nullable=False),
    sa.Column("codec", sa.String(64), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("is_experiment", sa.Boolean, nullable=False),
    sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("preview", sa.Text, nullable=False),
    sa.Column("started", Time, nullable=False),
    sa.Column("elapsed_s", sa.Double, nullable=False),
    sa.Column("created", Time, nullable=False),
    sa.Column("created_by", sa.String(100), nullable=False),
    sa.Column("hits", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("last_hit", Time, nullable=False),  # its creation counts as the first use
    sa.UniqueConstraint("version_id", "arguments", "observed"),
    sa.Index("ix_entries_call", "function_id", "arguments", "id"),
    sa.Index("ix_entries_runs", "function_id", "started", "id"),
    sa.Index("ix_entries_version_runs", "version_id", "started", "id"),
    sa.Index("ix_entries_recent", "project_id", "started", "id"),
    sa.Index("ix_entries_use", "is_experiment", "pinned", "last_hit"),
)

cells = sa.Table(  # arguments and result fields of experiments, one row each, so that they sort and filter by index
    "cells",
    metadata,
    sa.Column("entry_id", Id, sa.ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.String(3), primary_key=True),  # arg | res
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("function_id", Id, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("number", sa.Double),  # NULL: not a number
    sa.Index("ix_cells_number", "function_id", "kind", "name", "number", "entry_id"),
)

columns = sa.Table(  # what cells a function has: which columns there are, and whether they differ
    "columns",
    metadata,
    _to("functions"),
    sa.Column("kind", sa.String(3), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("seen", sa.BigInteger, nullable=False),
    sa.Column("numbers", sa.BigInteger, nullable=False),
    sa.Column("low", sa.Text, nullable=False),  # smallest and largest text: equal means it never differs
    sa.Column("high", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("function_id", "kind", "name"),
)

conflicts = sa.Table(  # the same key, another result: the function isn't deterministic
    "conflicts",
    metadata,
    _id(),
    sa.Column("entry_id", Id, sa.ForeignKey("entries.id", ondelete="CASCADE"), nullable=False, index=True),
    _to("projects"),
    sa.Column("blob", sa.String(80), nullable=False),
    sa.Column("manifest", sa.Text, nullable=False),
    sa.Column("who", sa.String(100), nullable=False),
    sa.Column("at", Time, nullable=False),
)

tags = sa.Table(
    "tags",
    metadata,
    sa.Column("entry_id", Id, sa.ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag", sa.String(60), primary_key=True, index=True),
)

runs = sa.Table(  # calls that are running or failed; one that finished is an entry
    "runs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    _to("projects"),
    sa.Column("symbol", sa.String(512), nullable=False),
    sa.Column("fingerprint", sa.String(128), nullable=False),
    sa.Column("arguments", sa.String(128), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("status", sa.String(10), nullable=False),  # running | ok | failed | lost
    sa.Column("started", Time, nullable=False),
    sa.Column("seen", Time, nullable=False),  # last heartbeat
    sa.Column("finished", Time),
    sa.Column("who", sa.String(100), nullable=False),
    sa.Column("host", sa.String(100), nullable=False),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    sa.Index("ix_runs_status", "project_id", "status", "started"),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("project_id", Id, primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),  # digest of the key
    sa.Column("token", sa.String(64), nullable=False),
    sa.Column("holder", sa.String(200), nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("expires", Time, nullable=False),
)

records = sa.Table(  # small things a colleague's `why` needs: closures, sources
    "records",
    metadata,
    sa.Column("project_id", Id, sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("tag", sa.String(200), nullable=False),  # made and checked by clients
    sa.Column("created", Time, nullable=False),
)

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("project_id", Id, sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("digest", sa.String(80), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("files", sa.BigInteger, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("tree", sa.Text, nullable=False),
    sa.Column("created", Time, nullable=False),
    sa.Column("created_by", sa.String(100), nullable=False),
)

usage = sa.Table(
    "usage_daily",
    metadata,
    sa.Column("project_id", Id, primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),  # UTC, 2026-11-24
    sa.Column("function_id", Id, primary_key=True),
    sa.Column("who", sa.String(100), primary_key=True),
    sa.Column("hits", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("misses", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("saved_s", sa.Double, nullable=False, server_default="0"),
    sa.Column("bytes_up", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("bytes_down", sa.BigInteger, nullable=False, server_default="0"),
)
