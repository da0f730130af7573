"""Why a call was computed, reused, or would be computed again: said with symbols, paths and diffs.

Everything here is a comparison of records: the code and conditions of one evaluation against those of another, or
against what holds now. Nothing here reads a disk, a clock or an environment; callers pass in what they found.
"""

from __future__ import annotations
