"""How entities are reached, and the names that Python and outside code call by themselves."""

from __future__ import annotations

# How an entity was reached.
SHAPE = 1  # a class only tested for, a class attribute nobody names, a value only written to, a pickling method
PRESENT = 2  # a class with instances that were not made here, and with which anything may be done: a base class
ASIDE = 3  # led to by pickling methods only: entered, but what others put into registries read there is left out
MENTION = 4  # named by code of the call
EARLIER = 5  # named by what may have run earlier in this process, and left state
UNCUT = 6  # may have run when modules were imported, or runs out of sight: its body counts whether it ran or not

# Methods that outside code is wont to call on objects it is given.
PROTOCOL = frozenset({
    "write", "writelines", "flush", "read", "readline", "readlines", "readinto", "seek", "tell", "close", "closed",
    "fileno", "isatty", "keys", "values", "items", "get", "acquire", "release", "send", "throw", "run", "start",
    "emit", "handle", "update", "append", "encode", "decode", "name", "mode",
})  # fmt: skip
CONSTRUCTORS = frozenset({
    "__init__", "__new__", "__post_init__", "__init_subclass__", "__set_name__", "__prepare__", "__attrs_post_init__",
})  # fmt: skip
ATTRIBUTES = frozenset({"__doc__", "__name__", "__qualname__", "__module__", "__signature__", "__wrapped__",
                         "__annotations__", "__dict__", "__all__", "__version__", "__author__"})  # fmt: skip
# Methods that an outside metaclass or base calls when a class is made: an enum makes its members then.
MAKING = frozenset({"__init__", "__new__", "__set_name__", "__prepare__", "_generate_next_value_"})
# Dunders that pickling and copying call. They count in a class that is reached, since results may be stored that way,
# but lead on only where the closure itself copies or pickles.
PICKLING = frozenset({"__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__",
                       "__getnewargs_ex__", "__copy__", "__deepcopy__"})  # fmt: skip
PICKLED = "<pickled>"  # stands for all of PICKLING among attribute names
# Dunders that run on request only, not by an operator.
ON_REQUEST = frozenset({"__repr__", "__str__", "__format__", "__del__", "__reduce__", "__reduce_ex__", "__getstate__",
                         "__setstate__", "__copy__", "__deepcopy__", "__sizeof__", "__dir__", "__call__"})  # fmt: skip
# Bases from outside the project that call methods by no name but dunders and those of the builtin type.
QUIET_BASES = ("builtins.", "abc.", "typing.", "typing_extensions.", "collections.", "enum.", "types.", "numbers.")


def is_protocol(name: str) -> bool:
    """Is this a method that Python calls by itself? Others are read by name like any attribute."""
    return name.startswith("__") and name.endswith("__") and name not in ATTRIBUTES


def called_by_bases(outside: tuple[str, ...]) -> tuple[str, ...]:
    """The methods without underscores that quiet bases call: the mixins of `collections.abc`, `enum`.

    Builtin types aren't among them: `dict.update` doesn't call an overriding `setdefault`, only dunders.
    """
    names: tuple[str, ...] = ()
    if any(name.startswith(("collections.", "typing.")) for name in outside):
        names += ("insert", "add", "discard", "send", "throw", "close", "_from_iterable", "_hash")
    if any(name.startswith("enum.") for name in outside):
        names += ("_generate_next_value_", "_missing_")
    return names
