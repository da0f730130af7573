"""Messages that the cloud client and the server share, as JSON; every one checked on the way in.

    evaluations   Evaluation <-> plain JSON values
    manifests     the text that is signed: an evaluation, the project it belongs to, the digest of its blob
    messages      look-ups and their answers

The version is in the path (`/api/v1`) and in every manifest. History of VERSION:
    1  first
"""

from hitsave.wire.evaluations import evaluation_from_json, evaluation_to_json, key_from_json, key_to_json
from hitsave.wire.manifests import Manifest, blob_name, parse_manifest, render_manifest
from hitsave.wire.messages import Answer, Entry, Held, Lease, Lookup
from hitsave.wire.reading import VERSION, WireError, canonical_json

__all__ = [
    "VERSION",
    "Answer",
    "Entry",
    "Held",
    "Lease",
    "Lookup",
    "Manifest",
    "WireError",
    "blob_name",
    "canonical_json",
    "evaluation_from_json",
    "evaluation_to_json",
    "key_from_json",
    "key_to_json",
    "parse_manifest",
    "render_manifest",
]
