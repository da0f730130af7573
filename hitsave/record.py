"""`Record`: a frozen, slotted value class whose definition costs microseconds.

The records that stages hand to each other sit on the path of a first hit in a fresh process. `dataclasses` would be
the ordinary choice; importing it pulls in `inspect` and costs more processor time than the rest of that path together
(`benchmarks/imports.py`), so the few features we need are here.

    class Point(Record):
        x: int
        y: int = 0

Fields are the annotations of the class, in order, after those of its bases. Instances are immutable, compare and hash
by value, and print like a call. A default must be immutable; it is shared. What it cannot do: default factories,
keyword-only fields, `__post_init__`.
"""

from __future__ import annotations

from hitsave.record_init import write_init

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_: object):  # noqa: D103 - a stand-in with the manual of the real one
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class RecordType(type):
    """The metaclass: turns annotations into slots and writes `__init__` for them."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> RecordType:
        """The class that `class name(*bases)` makes: its annotations are slots, its `__init__` takes them in order."""
        inherited: tuple[str, ...] = ()
        defaults: dict[str, Any] = {}
        for base in bases:
            inherited += getattr(base, "_fields", ())
            defaults.update(getattr(base, "_defaults", {}))
        own = tuple(_annotated(namespace))
        defaults.update({field: namespace.pop(field) for field in own if field in namespace})
        fields = inherited + own
        namespace["__slots__"] = own
        namespace["_fields"] = namespace["__match_args__"] = fields
        namespace["_defaults"] = defaults
        cls = super().__new__(mcls, name, bases, namespace)
        if fields and "__init__" not in namespace:
            # The slots' own setters take half the time of object.__setattr__; a look-up makes thousands of records.
            setters = {field: getattr(cls, field).__set__ for field in fields}
            type.__setattr__(cls, "__init__", write_init(cls.__qualname__, setters, defaults))
        return cls


def _annotated(namespace: dict[str, Any]) -> dict[str, Any]:
    if "__annotations__" in namespace:
        annotations: dict[str, Any] = namespace["__annotations__"]
        return annotations
    # Python 3.14 (PEP 649) computes annotations on demand; format 2 (FORWARDREF) evaluates nothing that is missing.
    annotate = namespace.get("__annotate_func__") or namespace.get("__annotate__")
    return annotate(2) if annotate else {}


class Record(metaclass=RecordType):
    """Base of every frozen record. Safe to share between threads: nothing in it changes."""

    if TYPE_CHECKING:
        _fields: ClassVar[tuple[str, ...]]
        _defaults: ClassVar[dict[str, Any]]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; use .replace({name}=...) to get a changed copy")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def _values(self) -> tuple[Any, ...]:
        return tuple([getattr(self, field) for field in self._fields])

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        inside = ", ".join(f"{field}={getattr(self, field)!r}" for field in self._fields)
        return f"{type(self).__name__}({inside})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._values()

    def replace(self, **changes: Any) -> Self:
        """A copy with `changes` applied; an unknown field is a `TypeError`."""
        values = dict(zip(self._fields, self._values(), strict=True))
        return type(self)(**{**values, **changes})
