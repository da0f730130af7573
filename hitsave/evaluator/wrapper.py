"""The wrapper: a plain function with the user's own signature, whose warm hit is a dictionary look-up.

What a memoised function becomes, for `def fibo(n)` that reads the global names `C` and `g`:

    def fibo(n):
        if not under_way:                                    # nobody observes: nothing to note
            try:
                if C is expected[0] and g is expected[1]:    # the code it depends on is what it was
                    result = table[n, type(n)]
                    next(hits)
                    return result
            except Exception: pass
        result = slow(memo, (n,))
        if type(result) is Raised: raise result.error
        return result

It is compiled with the globals of the user's function, so the guard's look-ups are the interpreter's specialised ones
(about 3 ns each), and they see a name that was rebound by anybody: a reload, a test's monkeypatch, a notebook. All
else it needs comes in through closure cells, always the same ones, so that the guard can be exchanged by assigning
`__code__`. Only atomic arguments and immutable results are in the table, so handing out the same object is safe, and
-0.0, True and 1.0 can't be taken for 0.0 and 1.

The user's exceptions pass with their traceback; below our one frame they see only their own.
"""

from __future__ import annotations

from hitsave.evaluator.binding import Parameters, read_parameters, write_signature
from hitsave.evaluator.guard import Check, reference, unique_holders
from hitsave.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FunctionType
    from typing import Any

    from hitsave.evaluator.memo import Memo

# A guard longer than this would cost more than the look-up it replaces.
LONGEST_GUARD = 400
CELLS = ("under_way", "table", "hits", "slow", "memo", "expected", "modules", "raised", "type")
PREFIX = "_hitsave_"


class Raised:
    """An exception of the user's function on its way out, so that no frame of ours needs to let it pass."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Shape(Record):
    """What the source of a wrapper is made from; fixed for one function."""

    name: str
    parameters: Parameters
    signature: str
    kind: str  # plain | generator | coroutine | async generator


CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200


def shape_of(function: FunctionType) -> Shape:
    """The shape of the wrapper for `function`."""
    code = function.__code__
    parameters = read_parameters(code)
    signature = write_signature(
        parameters, code, len(function.__defaults__ or ()), frozenset(function.__kwdefaults__ or ())
    )
    kind = "plain"
    for flag, name in (
        (CO_GENERATOR, "generator"),
        (CO_COROUTINE, "coroutine"),
        (CO_ASYNC_GENERATOR, "async generator"),
    ):
        if code.co_flags & flag:
            kind = name
    name = function.__name__ if function.__name__.isidentifier() else "function"
    return Shape(name, parameters, signature, kind)


def build_wrapper(memo: Memo, slow: Callable[..., Any]) -> FunctionType:
    """The memoised form of `memo.function`; it calls `slow(memo, values)` for everything that isn't in its table.

    It carries the name, module, documentation, defaults, annotations and attributes of `function`, and `__wrapped__`.
    """
    from types import CellType, FunctionType

    from hitsave.observe.watch import under_way

    function = memo.function
    shape = shape_of(function)
    given = {
        "under_way": under_way,
        "table": memo.table,
        "hits": memo.hits,
        "slow": slow,
        "memo": memo,
        "expected": (),
        "modules": (),
        "raised": Raised,
        "type": type,
    }
    code = compile_code(shape, function, ())
    cells = tuple(CellType(given[name[len(PREFIX) :]]) for name in code.co_freevars)
    wrapper = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, cells)
    wrapper.__kwdefaults__ = dict(function.__kwdefaults__) if function.__kwdefaults__ else None
    for attribute in ("__module__", "__qualname__", "__doc__"):
        setattr(wrapper, attribute, getattr(function, attribute))
    if hasattr(function, "__type_params__"):
        wrapper.__type_params__ = function.__type_params__  # type: ignore[attr-defined]
    _copy_annotations(function, wrapper)
    wrapper.__dict__.update(function.__dict__)
    wrapper.__wrapped__ = function  # type: ignore[attr-defined]
    return wrapper


def _copy_annotations(function: FunctionType, wrapper: FunctionType) -> None:
    annotate = getattr(function, "__annotate__", None)
    if annotate is not None:  # Python 3.14: not evaluated until somebody asks
        wrapper.__annotate__ = annotate  # type: ignore[attr-defined]
    else:
        wrapper.__annotations__ = function.__annotations__


def guard_with(wrapper: FunctionType, function: FunctionType, checks: tuple[Check, ...]) -> bool:
    """Exchange the guard of `wrapper`; False if it would be too long, and then the table must stay empty."""
    if len(checks) > LONGEST_GUARD:
        return False
    shape = shape_of(function)
    code = compile_code(shape, function, checks)
    holders = unique_holders(checks)
    cells = dict(zip(wrapper.__code__.co_freevars, wrapper.__closure__ or (), strict=True))
    cells[PREFIX + "expected"].cell_contents = tuple(check.value for check in checks)
    cells[PREFIX + "modules"].cell_contents = tuple(holders)
    wrapper.__code__ = code
    return True


def connect(wrapper: FunctionType, slow: Callable[..., Any]) -> None:
    """Let `wrapper` call `slow(memo, values)` from now on."""
    names = wrapper.__code__.co_freevars
    (wrapper.__closure__ or ())[names.index(PREFIX + "slow")].cell_contents = slow


def unguard(wrapper: FunctionType, function: FunctionType) -> None:
    """Take the fast path out of `wrapper`."""
    wrapper.__code__ = compile_code(shape_of(function), function, None)


def compile_code(shape: Shape, function: FunctionType, checks: tuple[Check, ...] | None) -> CodeType:
    """The code of the wrapper, with `checks` as its guard (None: no fast path at all)."""
    cells = ", ".join(PREFIX + cell for cell in CELLS)
    lines = [f"def outer({cells}):", f" {_keyword(shape)} {shape.name}({shape.signature}):"]
    # Naming every cell in dead code keeps the closure's layout the same whatever the guard is.
    lines.append(f"  if 0: {cells}")
    values = "".join(name + ", " for name in shape.parameters.names)
    simple = not shape.parameters.rest and not shape.parameters.options and shape.kind == "plain"
    if simple and checks is not None:
        lines += _fast_path(shape, function, checks)
    lines += _slow_path(shape, f"({values})")
    lines.append(f" return {shape.name}")
    scope: dict[str, Any] = {}
    exec(compile("\n".join(lines), __file__, "exec"), scope)
    outer = scope["outer"](*[None] * len(CELLS))
    code: Any = outer.__code__
    named: CodeType = code.replace(co_qualname=function.__qualname__) if hasattr(code, "co_qualname") else code
    return named


def _keyword(shape: Shape) -> str:
    return "async def" if shape.kind in ("coroutine", "async generator") else "def"


def _fast_path(shape: Shape, function: FunctionType, checks: tuple[Check, ...]) -> list[str]:
    p = PREFIX
    names = shape.parameters.names
    key = "".join(f"{name}, " for name in names) + "".join(f"{p}type({name}), " for name in names) or "()"
    holders = unique_holders(checks)
    tests = []
    for index, check in enumerate(checks):
        tests.append(f"{_reference(check, holders, function, (*names, shape.name))} is {p}expected[{index}]")
    condition = " and ".join(tests) or "1"
    return [
        f"  if not {p}under_way:",
        "   try:",
        f"    if {condition}:",
        f"     {p}result = {p}table[{key}]",
        f"     next({p}hits)" if "next" not in names else f"     {p}hits.__next__()",
        f"     return {p}result",
        "   except Exception: pass",
    ]


def _reference(check: Check, holders: list[Any], function: FunctionType, parameters: tuple[str, ...]) -> str:
    head = check.path.partition(".")[0]
    namespace = getattr(check.holder, "__dict__", None)
    if namespace is function.__globals__ and head.isidentifier() and head not in parameters:
        return check.path  # the wrapper's own global: the cheapest look-up there is
    index = next(i for i, holder in enumerate(holders) if holder is check.holder)
    return reference(check, f"{PREFIX}modules[{index}]")


def _slow_path(shape: Shape, values: str) -> list[str]:
    p = PREFIX
    if shape.kind == "generator":
        return [f"  return (yield from {p}slow({p}memo, {values}))"]
    if shape.kind == "async generator":
        return [f"  async for {p}item in {p}slow({p}memo, {values}): yield {p}item"]
    wait = "await " if shape.kind == "coroutine" else ""
    return [
        f"  {p}result = {wait}{p}slow({p}memo, {values})",
        f"  if {p}type({p}result) is {p}raised: raise {p}result.error",
        f"  return {p}result",
    ]
