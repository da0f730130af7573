"""Functions that were typed in: at the prompt, in a notebook cell, with `-c`, or made by `exec`.

No file holds them, so no source describes them. They are known by their code objects, and so is every function they
read from the same namespace; other names there count by their value. What they read from modules of the project is
followed as usual. Re-running a cell that defines a helper therefore changes the keys of all that call it, and editing
a comment in a cell changes none.
"""

from __future__ import annotations

from types import FunctionType

from hitsave.errors import CannotDigest
from hitsave.evaluator.carrier import Carrier
from hitsave.evaluator.live import is_steady
from hitsave.importhook.codes import digest_code, nested
from hitsave.symbol import Symbol
from hitsave.values import digest_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hitsave.evaluator.code import Codebook

BUDGET_BYTES = 1 << 20


class Typed:
    """What a typed-in function depends on: `pairs` for its fingerprint, `starts` in modules of the project."""

    __slots__ = ("_seen", "book", "carrier", "pairs", "watched")

    def __init__(self, book: Codebook) -> None:
        self.book = book
        self.carrier = Carrier(book)
        self.pairs: dict[str, str] = {}
        self.watched: list[tuple[dict[str, Any], str, Any]] = []
        self._seen: set[int] = set()

    @property
    def starts(self) -> frozenset[Symbol]:
        """Symbols of the project that the function reads, directly or through others typed in."""
        return frozenset(self.carrier.starts)

    @property
    def is_steady(self) -> bool:
        """Whether everything it reads is the same for as long as it is the same object."""
        return all(is_steady(value) for _, _, value in self.watched)

    def add(self, function: FunctionType) -> Typed:
        """Describe `function` and all it reads."""
        pending = [function]
        while pending:
            one = pending.pop()
            if id(one) in self._seen:
                continue
            self._seen.add(id(one))
            self.pairs[f"typed {one.__qualname__}"] = digest_code(one.__code__)
            for name in sorted({name for code in nested(one.__code__) for name in code.co_names}):
                if name in one.__globals__:
                    value = one.__globals__[name]
                    self.watched.append((one.__globals__, name, value))
                    inner = self._follow(name, value)
                    if inner is not None:
                        pending.append(inner)
        return self

    def stands(self) -> bool:
        """Whether every name is still bound to what it was bound to."""
        return all(namespace.get(name, self) is value for namespace, name, value in self.watched)

    def _follow(self, name: str, value: Any) -> FunctionType | None:
        inner = value
        while "__hitsave_memo__" in getattr(inner, "__dict__", ()):
            inner = inner.__wrapped__
        if isinstance(inner, FunctionType) and self.book.is_typed_in(inner):
            return inner
        if isinstance(inner, type) and self.book.is_typed_in(inner):
            for key, member in sorted(vars(inner).items()):
                method = getattr(member, "__func__", getattr(member, "fget", member))
                if isinstance(method, FunctionType):
                    self.add(method)
                elif not key.startswith("__"):
                    self._digest(f"{name}.{key}", member)
            for base in inner.__bases__:
                self._follow(base.__name__, base)
            return None
        self._digest(name, inner)
        return None

    def _digest(self, name: str, value: Any) -> None:
        try:
            self.pairs[f"value {name}"] = digest_value(value, code=self.carrier, path=name, budget=BUDGET_BYTES)
        except CannotDigest:
            self.pairs[f"value {name}"] = f"a {type(value).__qualname__}"
