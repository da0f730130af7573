"""The canonical form of any value, written piece by piece.

A value is taken apart until only atoms are left. What isn't a builtin is taken apart by a *rule* (`hitsave.values.
rules`): a function that returns `Parts`, a name and simpler values. A date is `Parts("date", 2026, 11, 5)`; an
instance is its class and its attributes. So a rule is three lines, and only this file knows about bytes and cycles.

    form   = marshal format 2                          atoms, and builtin containers of forms
           | "@" form-of-tuple(name, parts…)           what a rule made of a value
           | "U" count forms                           items without an order, sorted by their forms
           | "b" length bytes | "B" length hash        a short buffer, a long one
           | "H" hash                                  of a longer form, except in builtins all the way down
           | "^" distance                              a container that encloses this one (a cycle)
           | "&" distance hash                         another member of a cycle that was written in full before

Every form says where it ends, so no two values share one by how their pieces join. `H` makes shared structure cheap:
a form is written once per object, and each of its holders carries 17 bytes.

**Cycles.** Containers are numbered in the order they are met, and a reference to one that is still open is written as
the difference of the two numbers. A container that turns out to hold no reference to anything above it gives its
number back, so numbers, like everything else here, don't depend on where in the value it stands, and its form is
remembered. One that does belongs to a cycle, which is finished with its topmost member (Tarjan's algorithm; linear).
Inside a cycle sharing can be seen (`a.peer is b`), elsewhere it can't. Members of a set can't rely on what another
member met before them, since their order is arbitrary: each starts from what was known before the set.

The stack is a list, not Python's own: a linked list of 100,000 nodes is an ordinary value.
"""

from __future__ import annotations

from marshal import dumps

from hitsave.errors import CannotDigest
from hitsave.values.digest import (
    ATOMS,
    CONTAINERS,
    FLAT_BYTES,
    TooLarge,
    check_hashers,
    dumps_or_nothing,
    hash_long,
    hashers_by_type,
    is_plain,
)
from hitsave.values.forms import INLINE_BYTES, all_short, buffer_form, long_part, short, size
from hitsave.values.frame import UNORDERED, Frame, path_below
from hitsave.values.naming import type_name
from hitsave.values.parts import Attributes, Buffer, Parts, Ruled, Unordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hitsave.values.digest import CodeDigest, Hashers
    from hitsave.values.rules import Rule

_FORGOTTEN_BYTES = 256
_WALK_DEPTH = 8  # below this depth we no longer try to leave a whole container to marshal
_MAX_STEPS_AGAIN = 100_000
_HEADS = {list: b"[", tuple: b"(", set: b"<", frozenset: b">", Unordered: b"U"}
HINT = (
    "leave it out with ignore=, give a rule with hashers= or register_hasher(), "
    "or define __hitsave_key__() on its class to return what stands for it"
)


class Canonical:
    """Writes the form of one value; for a single use."""

    def __init__(
        self,
        code: CodeDigest,
        hashers: Hashers | None = None,
        *,
        budget: int | None = None,
        path: str = "",
        names: tuple[str, ...] = (),
    ) -> None:
        from hitsave.values.rules import find_rule

        self.code = code
        self.doubtful = ""  # path of the first value that only its own pickling code could describe
        self.state_is_dict: dict[type, bool] = {}  # for `rules.instances`: what it learnt about a class
        self.sentinels: dict[int, str] | None = None  # for `rules.standard`: names of bare objects
        self._find_rule = find_rule
        self._rules: dict[type, Rule] = {}
        self._hashers = dict(hashers_by_type)
        if hashers:
            check_hashers(hashers)
            self._hashers.update({kind: rule for kind, rule in hashers.items() if isinstance(kind, type)})
        self._budget = budget
        self._path = path
        self._names = names
        self._stack: list[Frame] = []
        self._trail: list[object] = []  # the open containers, by number
        self._open: dict[int, int] = {}  # id: number
        # id: (the object, its form, whether it is plain; None: it is, but the form is the hash of it)
        self._memo: dict[int, tuple[object, bytes, bool | None]] = {}
        self._plain_bytes = 0  # of the plain forms in the memo
        # Ids of those in the memo whose form depends on where a cycle was entered: its members, and all that hold one.
        self._relative: dict[int, None] = {}
        self._steps_again = 0
        self.plain = (
            True  # after `form`: whether the value is builtins all the way down, and short enough to be written flat
        )

    def form(self, root: object) -> bytes:
        """The canonical form of `root`."""
        try:
            return self._atom(root) if type(root) in ATOMS else self._run(root)
        except TypeError as error:
            # Rules raise nothing but CannotDigest, so this is a class that can't be looked up: its metaclass defines
            # `__eq__` without `__hash__`.
            where = self.path()
            problem = f"{where}: no stable digest for an instance of a class that has no hash"
            raise CannotDigest(problem, hint=HINT, path=where) from error
        except CannotDigest as error:
            if error.path:
                raise
            where = self.path()
            found = type(error)(f"{where}: {error.message}", hint=error.hint or HINT, path=where)
            raise found from error.__cause__

    def path(self) -> str:
        """Where we are, as the user would write it: `model.callbacks[2]`."""
        frames = self._stack
        start = self._path or "value"
        if self._names:
            at = frames[1].count - 1 if len(frames) > 1 else -1
            start = self._names[at] if 0 <= at < len(self._names) else ""
            frames = frames[2:]
        return start + path_below(frames)

    def _run(self, root: object) -> bytes:
        stack = self._stack
        entered = self._enter(root)
        if entered:
            return entered
        while True:
            frame = stack[-1]
            out = frame.out
            items = frame.items
            unordered = frame.kind in UNORDERED
            while frame.count < len(items):
                child = items[frame.count]
                frame.count += 1
                if type(child) in ATOMS:
                    form = self._atom(child)
                else:
                    if unordered:
                        self._forget_since(frame)
                    form = self._seen(child, frame) or self._enter(child)
                    if not form:
                        break
                out.append(form if len(form) <= INLINE_BYTES else long_part(frame, form))
            else:
                form = self._leave(frame)
                if not stack:
                    self.plain = frame.plain
                    return form
                parent = stack[-1]
                if not frame.plain:
                    parent.plain = False
                parent.out.append(form if len(form) <= INLINE_BYTES else long_part(parent, form))
                if frame.relative:
                    parent.relative = True
                if frame.low < parent.low:
                    parent.low = frame.low

    def _atom(self, value: Any) -> bytes:
        kind = type(value)
        is_long = (kind is str or kind is bytes) and len(value) > INLINE_BYTES
        if is_long:  # one text in ten thousand places is written once
            known = self._memo.get(id(value))
            if known is not None and known[2]:
                return known[1]
        form = dumps_or_nothing(value)
        if not form:  # beyond 2 GiB
            self.plain = False
            data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
            form = b"@" + dumps(kind.__name__, 2) + buffer_form(Buffer(data))
        if self._budget is not None:
            self._spend(len(form))
        if is_long:
            self._remember_plain(value, form)
        return form

    def _remember_plain(self, value: object, form: bytes) -> None:
        """Remember a form that other builtins may hold as it is; when these grow too many, only its hash."""
        self._plain_bytes += len(form)
        keep = self._plain_bytes <= FLAT_BYTES
        self._memo[id(value)] = (value, form, True) if keep else (value, short(form), None)

    def _seen(self, child: object, frame: Frame) -> bytes:
        """The form of an object that was met before, or b""."""
        key = id(child)
        known = self._memo.get(key)
        if known is not None:
            if known[2] is False:
                frame.plain = False
            if known[2] is None and frame.plain:
                return b""  # only its hash was kept
            if key in self._relative:
                frame.relative = True
            return known[1]
        number = self._open.get(key)
        if number is None:
            return b""
        frame.plain = False
        if number < frame.low:
            frame.low = number
        # Negative for a part of this container that was written in full but whose cycle isn't finished.
        return b"^" + (frame.number - number).to_bytes(4, "little", signed=True)

    def _enter(self, value: object) -> bytes:
        """The form of `value` if it can be written at once; else b"", and it has a frame on the stack."""
        kind: Any = type(value)
        if kind in CONTAINERS:
            if len(self._stack) <= _WALK_DEPTH and is_plain((value,), self._budget):
                form = dumps_or_nothing(value)
                if form and len(form) <= FLAT_BYTES:
                    self._spend(len(form))
                    if len(form) > INLINE_BYTES:
                        self._remember_plain(value, form)
                    return form
            items = _children(kind, value)
            what: Any = value
        else:
            if self._stack:
                self._stack[-1].plain = False
            if kind is Buffer:
                self._spend(value.size_bytes)  # type: ignore[attr-defined]
                return buffer_form(value)  # type: ignore[arg-type]
            what = self._take_apart(value, kind)
            kind = type(what)
            if kind is Parts:
                form = self._at_once(what)
                if form:
                    # To remember a million small instances would cost more than to write those that come again.
                    if what.name != "instance" or len(form) > _FORGOTTEN_BYTES:
                        self._memo[id(value)] = (value, form, False)
                    return form
                items = list(what.parts)
            elif kind is Attributes:
                items = _children(dict, what.items)
            else:
                items = what.items
        if self._budget is not None:
            self._spend(1)
        number = len(self._trail)
        self._stack.append(Frame(kind, items, what, number, len(self._relative)))
        self._trail.append(value)
        self._open[id(value)] = number
        return b""

    def _at_once(self, what: Parts) -> bytes:
        """The form of parts that are all atoms, few atoms together, or known; else b"".

        Nothing but speed: most instances are such leaves, and a frame for each would double what they cost.
        """
        forms = []
        for part in what.parts:
            kind: Any = type(part)
            if kind in ATOMS:
                form = short(self._atom(part))
            elif kind is Attributes or kind is tuple:
                held: Any = part.items if kind is Attributes else part  # type: ignore[attr-defined]
                if type(held) is dict:
                    if not set(map(type, held)) <= ATOMS or not set(map(type, held.values())) <= ATOMS:
                        return b""
                elif type(held) is not tuple or not set(map(type, held)) <= ATOMS:
                    return b""
                form = dumps_or_nothing(held)
                if not 0 < len(form) <= INLINE_BYTES:
                    return b""
                self._spend(len(form))
            elif kind is Buffer:
                self._spend(part.size_bytes)  # type: ignore[attr-defined]
                form = buffer_form(part)  # type: ignore[arg-type]
            else:
                known = self._memo.get(id(part))
                if known is None or id(part) in self._relative:
                    return b""
                form = short(known[1])
            forms.append(form)
        return short(b"@(" + size(len(forms) + 1) + dumps(what.name, 2) + b"".join(forms))

    def _leave(self, frame: Frame) -> bytes:
        """The form of the topmost container, which is complete."""
        kind = frame.kind
        out = frame.out
        if frame.plain and sum(map(len, out)) + (2 if kind is dict else 5) > FLAT_BYTES:
            frame.plain = False
        if not frame.plain:
            out = all_short(out)
        if kind in UNORDERED:
            self._forget_since(frame)
            out.sort()
        body = b"".join(out)
        if kind is dict or kind is Attributes:
            form = b"{" + body + b"0"
        elif kind is Parts:
            form = b"@(" + size(len(out) + 1) + dumps(frame.value.name, 2) + body  # type: ignore[attr-defined]
        else:
            form = _HEADS[kind] + size(len(out)) + body
        if not frame.plain:
            form = short(form)
        self._stack.pop()
        if frame.low >= frame.number:
            self._close(frame, form)
        return form

    def _close(self, frame: Frame, form: bytes) -> None:
        """Remember the form of a container that refers to nothing above it, and of the members of its cycle."""
        trail = self._trail
        first = frame.number
        value = trail[first]
        if frame.plain:
            self._remember_plain(value, form)
        else:
            self._memo[id(value)] = (value, form, False)
        if len(trail) > first + 1:
            frame.relative = True
            root = hash_long(form)
            for number in range(first + 1, len(trail)):
                member = trail[number]
                del self._open[id(member)]
                self._memo[id(member)] = (member, b"&" + size(number - first) + root, False)
                self._relative[id(member)] = None
        if frame.relative:
            self._relative[id(value)] = None
        del self._open[id(value)]
        del trail[first:]

    def _forget_since(self, frame: Frame) -> None:
        """Forget what members of the unordered `frame` met on their way through a cycle."""
        trail = self._trail
        again = len(trail) - frame.number - 1 + len(self._relative) - frame.known
        if again:
            self._steps_again += again
            if self._steps_again > _MAX_STEPS_AGAIN:
                raise CannotDigest("no stable digest for sets of objects that refer to each other in so many ways")
            for member in trail[frame.number + 1 :]:
                del self._open[id(member)]
            del trail[frame.number + 1 :]
            for _ in range(len(self._relative) - frame.known):
                key, _ = self._relative.popitem()
                self._memo.pop(key, None)

    def _take_apart(self, value: Any, kind: type) -> object:
        if kind is Parts or kind is Attributes or kind is Unordered:
            return value
        hasher = None
        if kind is Ruled:
            value, hasher, kind = value.value, value.hasher, type(value.value)
        elif self._hashers:
            hasher = next((self._hashers[base] for base in kind.__mro__ if base in self._hashers), None)
        try:
            if hasher is not None:
                return Parts("hasher", kind, hasher(value))
            return self._rule(kind)(value, self)
        except CannotDigest:
            raise
        # The user's own code runs here (a hasher, __hitsave_key__, __reduce__, __getstate__ ...), so anything may come.
        except Exception as error:
            problem = f"no stable digest for a value of type {type_name(kind)} ({str(error) or type(error).__name__})"
            raise CannotDigest(problem) from error

    def _spend(self, size_bytes: int) -> None:
        if self._budget is not None:
            self._budget -= size_bytes
            if self._budget < 0:
                raise TooLarge("too large to be digested here")

    def _rule(self, cls: type) -> Rule:
        rule = self._rules.get(cls)
        if rule is None:
            rule = self._rules[cls] = self._find_rule(cls)
        return rule


def _children(kind: type, value: Any) -> list[Any]:
    # `list` first: one step under the interpreter's lock, so another thread can't change the dict under us.
    return [part for item in list(value.items()) for part in item] if kind is dict else list(value)
