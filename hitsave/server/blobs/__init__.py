"""Blob storage: content-addressed bytes, in files or in an S3-compatible service.

Small values live in the database beside their entry; what is larger comes here. Every implementer publishes a blob
only after its digest was checked, and atomically: a reader sees all of it or nothing.
"""

from hitsave.server.blobs.contract import BlobStorage, StorageFull
from hitsave.server.blobs.opening import open_storage

__all__ = ["BlobStorage", "StorageFull", "open_storage"]
