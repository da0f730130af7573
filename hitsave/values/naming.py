"""Names of types and libraries."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def module_name(cls: type) -> str:
    """The module that `cls` says it is from; "" if it says nothing sensible (some of Cython's metaclasses)."""
    name: object = cls.__module__
    return name if isinstance(name, str) else ""


def package_name(cls: type) -> str:
    """The top-level package that `cls` says it is from."""
    return module_name(cls).partition(".")[0]


def type_name(cls: type) -> str:
    """How a message names a type."""
    module = module_name(cls)
    return cls.__qualname__ if module in ("builtins", "") else f"{module}.{cls.__qualname__}"


def library(name: str) -> Any:
    """The library `name`, imported if need be; untyped, as some are, and others are differently in each release."""
    return __import__(name)
