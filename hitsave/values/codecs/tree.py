"""`tree`: values nested in each other, none of which needs a pickle to be told.

A value becomes a *node*: an atom is itself, anything else is a tuple that starts with a tag and goes on with nodes. The
tree of nodes is plain (`codecs.plain`), the memory of arrays lies beside it (`codecs.framing`).

    ("=", value)                 builtins all the way down, as they are
    ("[", nodes…) ("(", …) ("{", key, value, …) ("<", …) (">", …)       list, tuple, dict, set, frozenset
    ("@", kind, nodes…)          a value of a kind that `kinds` can take apart and make again
    ("npy", head, number)        an array or scalar, and the number of its buffer (None: it is in the head)
    ("arrow", head, number)      the same for Arrow, polars
    ("tensor", head, number)     the same for PyTorch

Reading creates objects of builtin and library types and, of the user's own, only enums, dataclasses and named tuples,
whose constructors it doesn't run; all it does on behalf of the bytes is import the module such a class is in.

Not for it: one list, array or other mutable object in two places (a change through one must show in the other), cycles,
and every type it doesn't know. Those are left to pickle.
"""

from __future__ import annotations

import sys
from marshal import loads

from hitsave.errors import StoreError
from hitsave.values.codecs import kinds
from hitsave.values.codecs.framing import frame, unframe
from hitsave.values.codecs.plain import is_plain_tree, marshalled, repeats_text
from hitsave.values.digest import ATOMS, CONTAINERS
from hitsave.values.naming import package_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hitsave.values.codec import ModuleNames

version = 1
# History: 1  2026-11

_MAX_NODES = 1_000_000
_MAX_DEPTH = 100
_LONG_TEXT = 1000
_TAGS: dict[type, str] = {list: "[", tuple: "(", dict: "{", set: "<", frozenset: ">"}
_BEHIND = {"npy": "arrays", "arrow": "arrow", "tensor": "tensors"}
_TAG_OF_PACKAGE = {"numpy": "npy", "pyarrow": "arrow", "polars": "arrow", "torch": "tensor"}


def dump(value: Any, modules: ModuleNames | None = None) -> list[Any] | None:
    """The nodes, and the memory of arrays; None if something in `value` needs a pickle."""
    taking = _Taking(modules)
    try:
        node = taking.node(value, 0)
        if repeats_text(taking.texts):
            return None
    except kinds.Unfit:
        return None
    head = marshalled(node)
    return frame(head, taking.buffers) if head else None


def load(data: memoryview, modules: ModuleNames | None = None) -> Any:
    """A fresh value; its arrays lie in the memory of `data` if that is writable."""
    head, buffers = unframe(data)
    return _Making(buffers, modules).value(loads(head))


class _Taking:
    """Takes one value apart."""

    def __init__(self, modules: ModuleNames | None) -> None:
        self.modules = modules
        self.buffers: list[Any] = []
        self._seen: set[int] = set()  # ids of mutable objects …
        self._kept: list[object] = []  # … and those objects, since parts are made for the occasion: their ids must last
        self._nodes = 0
        self.texts: list[str | bytes] = []  # the long ones, each time they are met

    def node(self, value: Any, depth: int) -> Any:
        kind: Any = type(value)
        if kind in ATOMS:
            if (kind is str or kind is bytes) and len(value) > _LONG_TEXT:
                self.texts.append(value)
            return value
        self._nodes += 1
        if depth > _MAX_DEPTH or self._nodes > _MAX_NODES:
            raise kinds.Unfit
        if kind in CONTAINERS:
            return self._container(value, kind, depth)
        found = kinds.find(kind)
        if found is not None:
            name, take = found
            if name not in kinds.SHAREABLE:
                self.once(value)
            return ("@", name, *[self.node(part, depth + 1) for part in take(value, self.modules)])
        return self._library_value(value, kind, depth)

    def once(self, value: object) -> None:
        """Note that `value` is held here; it must not be held elsewhere too."""
        if id(value) in self._seen:
            raise kinds.Unfit
        self._seen.add(id(value))
        self._kept.append(value)

    def _once_in_memory(self, tensor: Any) -> None:
        """Note the memory of `tensor`: torch keeps track of who shares it, and so does its pickle."""
        address = tensor.untyped_storage().data_ptr()
        if address:
            if -address in self._seen:  # negative, since these aren't ids
                raise kinds.Unfit
            self._seen.add(-address)

    def _container(self, value: Any, kind: type, depth: int) -> Any:
        children = {*map(type, value), *map(type, value.values())} if kind is dict else set(map(type, value))
        if children <= ATOMS or (children <= ATOMS | CONTAINERS and depth < 3):
            seen: set[int] = set()
            if is_plain_tree(value, seen):
                if not seen.isdisjoint(self._seen):
                    raise kinds.Unfit
                self._seen |= seen
                parts = value.values() if kind is dict else value
                self.texts += [part for part in parts if isinstance(part, (str, bytes)) and len(part) > _LONG_TEXT]
                return ("=", value)
        if kind is not tuple and kind is not frozenset:
            self.once(value)
        if kind is dict:
            parts = [self.node(part, depth + 1) for item in value.items() for part in item]
        else:
            parts = [self.node(part, depth + 1) for part in value]
        if kind is set or kind is frozenset:
            parts.sort(key=marshalled)  # so that equal sets are equal bytes
        return (_TAGS[kind], *parts)

    def _library_value(self, value: Any, kind: type, depth: int) -> Any:
        self.once(value)
        packages = [package_name(base) for base in kind.__mro__]
        if "pandas" in packages:
            from hitsave.values.codecs import frames

            name, parts = frames.take(value)
            return ("@", name, *[self.node(part, depth + 1) for part in parts])
        for package in packages:
            tag = _TAG_OF_PACKAGE.get(package)
            if tag is not None:
                taken = _module(tag).take(value)
                if taken is not None and tag == "tensor":
                    self._once_in_memory(value)
                if taken is not None:
                    head, buffer = taken
                    if buffer is None:
                        return (tag, head, None)
                    self.buffers.append(buffer)
                    return (tag, head, len(self.buffers) - 1)
        raise kinds.Unfit


class _Making:
    """Makes one value of its nodes."""

    def __init__(self, buffers: list[Any], modules: ModuleNames | None) -> None:
        self._buffers = buffers
        self._modules = modules

    def value(self, node: Any) -> Any:
        if type(node) is not tuple:
            return node
        tag = node[0]
        if tag == "=":
            return node[1]
        if tag in _BEHIND:
            return _module(tag).make(node[1], None if node[2] is None else self._buffers[node[2]])
        if tag == "@":
            make = kinds.maker(node[1])
            return make(self._modules, *[self.value(part) for part in node[2:]])
        parts = [self.value(part) for part in node[1:]]
        if tag == "[":
            return parts
        if tag == "{":
            return dict(zip(parts[::2], parts[1::2], strict=True))
        for kind, its_tag in _TAGS.items():
            if tag == its_tag:
                return kind(parts)
        raise StoreError(f"a stored result is damaged: {tag!r} is no node")


def _module(tag: str) -> Any:
    full_name = f"hitsave.values.codecs.{_BEHIND[tag]}"
    return sys.modules.get(full_name) or __import__(full_name, fromlist=["take"])
