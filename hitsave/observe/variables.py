"""Environment variables that an evaluation reads.

`os.environ` turns each name into its stored form through its own attribute `encodekey` (and back, when iterated,
through `decodekey`): both are ordinary attributes of that one object, so replacing them sees every read through
`os.environ[...]`, `.get`, `in`, `os.getenv` and iteration, and changes nothing that a program can notice. Reading
`os.environb` or `environ._data` directly is out of sight.
"""

from __future__ import annotations

import os

from hitsave.observe.inputs import is_known, note_variable
from hitsave.observe.watch import is_busy, watchers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_installed = False


def install() -> None:
    """Watch reads of `os.environ` from now on; idempotent."""
    global _installed
    if _installed:
        return
    _installed = True
    environ: Any = os.environ
    encode, decode = environ.encodekey, environ.decodekey

    def encodekey(name: Any) -> Any:
        key = encode(name)
        if not is_known(name) and not is_busy():
            note_variable(name, read(name))
        for sight in watchers():
            if name not in sight.variables:
                sight.variables[name] = read(name)
        return key

    def decodekey(key: Any) -> Any:
        name = decode(key)
        if not is_known(name) and not is_busy():
            note_variable(name, read(name))
        for sight in watchers():
            if name not in sight.variables:
                sight.variables[name] = read(name)
        return name

    environ.encodekey, environ.decodekey = encodekey, decodekey


def read(name: str) -> str | None:
    """The value of the variable `name` now, None if unset; the read itself is not noted."""
    environ: Any = os.environ
    data = environ._data
    # Mirrors os._Environ: bytes on POSIX, upper-case text on Windows.
    key: Any = name.upper() if os.name == "nt" else os.fsencode(name)
    value = data.get(key)
    return os.fsdecode(value) if isinstance(value, bytes) else value
