"""`remove_bytecode`: takes back what the hook wrote beside the user's sources."""

from __future__ import annotations

import os

from hitsave.project import NEVER_OURS

MARK = ".hitsave-"


def remove_bytecode(root: str) -> tuple[str, ...]:
    """Delete every compiled file of ours below `root`; the paths deleted.

    Python's own `.pyc` files stay, those that we wrote included: they are what Python itself would have written.
    """
    removed = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in NEVER_OURS or name == "__pycache__"]
        for name in files:
            if MARK in name and name.endswith(".pyc") and os.path.basename(folder) == "__pycache__":
                path = os.path.join(folder, name)
                try:
                    os.unlink(path)
                except OSError:
                    continue
                removed.append(path)
    return tuple(removed)
