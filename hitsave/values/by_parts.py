"""Digests of values that aren't builtins all the way down: `hitsave.values.digest` comes here for them."""

from __future__ import annotations

from hitsave.errors import CannotDigest
from hitsave.values.canonical import HINT, Canonical
from hitsave.values.digest import finish, is_big
from hitsave.values.parts import Buffer, Ruled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from hitsave.digest import Digest
    from hitsave.values.digest import CodeDigest, Hasher, Hashers


def digest_by_parts(
    value: object, *, code: CodeDigest, path: str, hashers: Hashers | None, budget: int | None
) -> Digest:
    """As `digest_value`, for any value."""
    root = Buffer(value) if is_big(value) else value
    return _digest(lambda: Canonical(code, hashers, budget=budget, path=path), root)


def digest_arguments_by_parts(
    names: tuple[str, ...], values: tuple[object, ...], *, code: CodeDigest, hashers: Hashers | None
) -> Digest:
    """As `digest_arguments`, for any values."""
    given = [Buffer(value) if is_big(value) else value for value in values]
    rules: Mapping[Any, Hasher] = hashers or {}
    for index, name in enumerate(names):
        if name in rules:
            given[index] = Ruled(values[index], rules[name])
    return _digest(lambda: Canonical(code, hashers, names=names), (names, tuple(given)))


def _digest(make: Callable[[], Canonical], root: object) -> Digest:
    canonical = make()
    digest = finish(canonical.form(root))
    where = canonical.doubtful
    if where and finish(make().form(root)) != digest:
        problem = "no stable digest, its class describes it differently each time it is asked"
        raise CannotDigest(f"{where}: {problem}", hint=HINT, path=where)
    return digest
