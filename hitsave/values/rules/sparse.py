"""SciPy: sparse matrices and arrays, by their format and the arrays that they consist of."""

from __future__ import annotations

import sys

from hitsave.values.parts import Attributes, Parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hitsave.values.canonical import Canonical

    Rule = Callable[[Any, Canonical], Parts]

_HELD = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr", "blocksize"),
    "coo": ("data", "coords"),
    "dia": ("data", "offsets"),
    "lil": ("data", "rows"),
}


def find(cls: type) -> Rule | None:
    """The rule for a sparse class, or None."""
    sparse: Any = sys.modules.get("scipy.sparse")
    if not hasattr(sparse, "issparse"):
        return None
    kinds = tuple(getattr(sparse, name) for name in ("spmatrix", "sparray") if hasattr(sparse, name))
    return _matrix if issubclass(cls, kinds) else None


def _matrix(value: Any, _: Canonical) -> Parts:
    if value.format == "dok":
        value_parts: dict[str, Any] = {"items": dict(value.items()), "dtype": value.dtype}
    elif value.format == "coo" and not hasattr(value, "coords"):  # before SciPy 1.13
        value_parts = {"data": value.data, "coords": (value.row, value.col)}
    else:
        value_parts = {name: getattr(value, name) for name in _HELD[value.format]}
    return Parts("sparse", type(value).__name__, value.shape, Attributes(value_parts))
