"""Manifests: the text of an entry that is signed, kept and handed out exactly as its writer made it.

A manifest binds an evaluation to the project it belongs to and to the bytes of its result, so a signed blob can't be
moved under another key, into another project, or read by another codec. The server checks its form and keeps the
text; only clients hold the key that can check its tag.
"""

from __future__ import annotations

import hashlib
import re

from hitsave.evaluation import Evaluation
from hitsave.record import Record
from hitsave.wire.evaluations import evaluation_from_json, evaluation_to_json
from hitsave.wire.reading import VERSION, Reader, WireError, canonical_json, parse_json

# Far above what calls need (a record of 3,000 functions that ran is 150 KB); an entry above it stays local.
MAX_MANIFEST_BYTES = 256 << 10
_BLOB = re.compile(r"sha256-[0-9a-f]{64}\Z")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}\Z")


class Manifest(Record):
    """What is signed: `blob` is the name of the result's bytes, `signer` the id of the key that made the tag."""

    project: str
    signer: str
    blob: str
    evaluation: Evaluation


def blob_name(data: bytes | bytearray | memoryview) -> str:
    """`sha256-<hex>`: what S3 stores and HTTP (`Repr-Digest`) can check too, which BLAKE2b is not."""
    return "sha256-" + hashlib.sha256(data).hexdigest()


def is_blob_name(text: str) -> bool:
    """Whether `text` names a blob; only then may it become part of a path."""
    return _BLOB.match(text) is not None


def is_project_name(text: str) -> bool:
    """Whether `text` can name a project: lower case, digits, `_.-`, at most 63 characters."""
    return _PROJECT.match(text) is not None


def render_manifest(manifest: Manifest) -> str:
    """The text to sign and send."""
    return canonical_json(
        {
            "v": VERSION,
            "project": manifest.project,
            "signer": manifest.signer,
            "blob": manifest.blob,
            "evaluation": evaluation_to_json(manifest.evaluation),
        }
    )


def parse_manifest(text: str) -> Manifest:
    """The manifest in `text`. Raises `WireError`; checks form only, never who signed it."""
    if len(text) > MAX_MANIFEST_BYTES:
        raise WireError(f"manifest: larger than {MAX_MANIFEST_BYTES} bytes")
    read = Reader(parse_json(text), "manifest")
    if read.integer("v") != VERSION:
        raise WireError(f"manifest.v: this is version {VERSION}")
    blob = read.text("blob")
    if not is_blob_name(blob):
        raise WireError("manifest.blob: expected sha256-<64 hexadecimal digits>")
    project = read.text("project")
    if not is_project_name(project):
        raise WireError("manifest.project: expected lower-case letters, digits and _.-")
    return Manifest(
        project=project,
        signer=read.digest("signer", ""),
        blob=blob,
        evaluation=evaluation_from_json(read.value.get("evaluation"), "manifest.evaluation"),
    )
