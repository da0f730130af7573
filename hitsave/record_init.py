"""Ready-made `__init__`s for records, one per number of fields, each calling the setters of that many slots.

Compiling one per class from text, as `dataclasses` does, costs 70 to 330 µs, and two dozen classes stand between a
fresh process and its first hit. A copy of ready-made code with other names in it costs one.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any


# fmt: off
# mypy: disable-error-code="no-untyped-def, name-defined"
# ruff: noqa: E501, E741, F821
def _1(self, a): _ = A(self, a)
def _2(self, a, b): _ = A(self, a), B(self, b)
def _3(self, a, b, c): _ = A(self, a), B(self, b), C(self, c)
def _4(self, a, b, c, d): _ = A(self, a), B(self, b), C(self, c), D(self, d)
def _5(self, a, b, c, d, e): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e)
def _6(self, a, b, c, d, e, f): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f)
def _7(self, a, b, c, d, e, f, g): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g)
def _8(self, a, b, c, d, e, f, g, h): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h)
def _9(self, a, b, c, d, e, f, g, h, i): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i)
def _10(self, a, b, c, d, e, f, g, h, i, j): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j)
def _11(self, a, b, c, d, e, f, g, h, i, j, k): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k)
def _12(self, a, b, c, d, e, f, g, h, i, j, k, l): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l)
def _13(self, a, b, c, d, e, f, g, h, i, j, k, l, m): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m)
def _14(self, a, b, c, d, e, f, g, h, i, j, k, l, m, n): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m), N(self, n)
def _15(self, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m), N(self, n), O(self, o)
def _16(self, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m), N(self, n), O(self, o), P(self, p)
def _17(self, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m), N(self, n), O(self, o), P(self, p), Q(self, q)
def _18(self, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m), N(self, n), O(self, o), P(self, p), Q(self, q), R(self, r)
def _19(self, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m), N(self, n), O(self, o), P(self, p), Q(self, q), R(self, r), S(self, s)
def _20(self, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m), N(self, n), O(self, o), P(self, p), Q(self, q), R(self, r), S(self, s), T(self, t)
def _21(self, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m), N(self, n), O(self, o), P(self, p), Q(self, q), R(self, r), S(self, s), T(self, t), U(self, u)
def _22(self, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m), N(self, n), O(self, o), P(self, p), Q(self, q), R(self, r), S(self, s), T(self, t), U(self, u), V(self, v)
def _23(self, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m), N(self, n), O(self, o), P(self, p), Q(self, q), R(self, r), S(self, s), T(self, t), U(self, u), V(self, v), W(self, w)
def _24(self, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m), N(self, n), O(self, o), P(self, p), Q(self, q), R(self, r), S(self, s), T(self, t), U(self, u), V(self, v), W(self, w), X(self, x)
def _25(self, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m), N(self, n), O(self, o), P(self, p), Q(self, q), R(self, r), S(self, s), T(self, t), U(self, u), V(self, v), W(self, w), X(self, x), Y(self, y)
def _26(self, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z): _ = A(self, a), B(self, b), C(self, c), D(self, d), E(self, e), F(self, f), G(self, g), H(self, h), I(self, i), J(self, j), K(self, k), L(self, l), M(self, m), N(self, n), O(self, o), P(self, p), Q(self, q), R(self, r), S(self, s), T(self, t), U(self, u), V(self, v), W(self, w), X(self, x), Y(self, y), Z(self, z)
# fmt: on

Function: Any = type(lambda: None)
_TEMPLATES: tuple[CodeType, ...] = tuple(globals()[f"_{count}"].__code__ for count in range(1, 27))


def write_init(owner: str, setters: dict[str, Callable[[Any, Any], None]], defaults: dict[str, Any]) -> Any:
    """An `__init__` for the class `owner` whose parameters are the names of `setters`, some with `defaults`."""
    names = tuple(setters)
    given = tuple([defaults[name] for name in names if name in defaults])
    if any(name in defaults for name in names[: len(names) - len(given)]):
        raise TypeError(f"{owner}: a field without a default stands after one with a default")
    if len(names) > len(_TEMPLATES):
        raise TypeError(f"{owner} has more than {len(_TEMPLATES)} fields")
    template = _TEMPLATES[len(names) - 1]
    scope = {f"set {name}": setter for name, setter in setters.items()}
    code = template.replace(
        co_name="__init__", co_varnames=("self", *names, template.co_varnames[-1]), co_names=tuple(scope)
    )
    init = Function(code, scope, "__init__", given)
    init.__qualname__ = f"{owner}.__init__"
    return init
