"""`Place`: the project, settings and store that a command works with, opened without running anything."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hitsave.config import Config, load_config
from hitsave.project import Project, find_project, with_import_path

if TYPE_CHECKING:
    from hitsave.store.disk import DiskStore


@dataclass(frozen=True)
class Place:
    """Where a command was asked: the project around the current folder, its settings, the store they name."""

    project: Project
    config: Config
    store: DiskStore


@contextmanager
def open_place(options: argparse.Namespace) -> Iterator[Place]:
    """The place that `--root`, `--dir` and the settings mean; its store is closed at the end."""
    from hitsave.session import open_disk

    project = find_project(options.root or os.getcwd())
    config = load_config(project.root)
    if config.roots:
        project = project.with_roots(*(os.path.join(project.root, root) for root in config.roots))
    # As a process would: what PYTHONPATH and editable installs add is the user's own code.
    project = with_import_path(project, sys.path)
    store = open_disk(config)
    try:
        yield Place(project, config, store)
    finally:
        store.close()
