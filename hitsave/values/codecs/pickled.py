"""`pickle5`: any other value, as pickle protocol 5 with its large buffers beside the pickle.

Functions and classes are written by reference, as pickle does; but under the name that their module has in every
process, since a class of a script is `__main__.Point` when the script runs and `script.Point` when it is imported.

A pickle is a program: it is only ever decoded from bytes whose origin was verified.
"""

from __future__ import annotations

import pickle
import sys
from io import BytesIO

from hitsave.values.codecs.framing import frame, unframe
from hitsave.values.naming import library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hitsave.values.codec import ModuleNames

version = 1
# History: 1  2026-11

_OUT_OF_BAND_BYTES = 1024


def dump(value: Any, modules: ModuleNames | None = None) -> list[Any]:
    """The pickle, and each buffer of 1 KiB and more."""
    buffers: list[Any] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < _OUT_OF_BAND_BYTES:
            return True  # in the pickle itself
        buffers.append(raw)
        return False

    file = BytesIO()
    torch = sys.modules.get("torch")
    if modules is None and torch is None:
        pickle.Pickler(file, 5, buffer_callback=keep).dump(value)
    else:
        _Pickler(file, keep, modules, getattr(torch, "storage", None)).dump(value)
    return frame(file.getvalue(), buffers)


def load(data: memoryview, modules: ModuleNames | None = None) -> Any:
    """A fresh value; its arrays lie in the memory of `data` if that is writable."""
    head, buffers = unframe(data)
    return _Unpickler(BytesIO(head), buffers, modules).load()


def by_canonical_name(module: str, qualname: str) -> Any:
    """Stands in pickles for a class or function whose module goes by different names; see `_Unpickler`."""
    raise pickle.UnpicklingError(f"{module}:{qualname} can only be found by hitsave")


def storage_of(buffer: Any, dtype: Any) -> Any:
    """The storage of a tensor, in the memory of `buffer`."""
    torch = library("torch")

    view = memoryview(buffer).cast("B")
    if not view.nbytes:
        untyped = torch.UntypedStorage(0)
    else:
        untyped = torch.frombuffer(bytearray(view) if view.readonly else view, dtype=torch.uint8).untyped_storage()
    return torch.storage.TypedStorage(wrap_storage=untyped, dtype=dtype, _internal=True)


class _Pickler(pickle.Pickler):
    def __init__(self, file: BytesIO, keep: Any, modules: ModuleNames | None, torch_storage: Any) -> None:
        super().__init__(file, 5, buffer_callback=keep)
        self._modules = modules
        self._storage_kind = getattr(torch_storage, "TypedStorage", None)

    def reducer_override(self, value: Any) -> Any:
        if type(value) is self._storage_kind and value._untyped_storage.device.type == "cpu":
            return self._storage(value)
        if self._modules is None or not isinstance(value, _BY_REFERENCE):
            return NotImplemented
        module: Any = value.__module__
        canonical = self._modules.canonical(module) if isinstance(module, str) else module
        if canonical == module or "<" in value.__qualname__:
            return NotImplemented
        return by_canonical_name, (canonical, value.__qualname__)

    def _storage(self, value: Any) -> Any:
        # PyTorch would write the storage into a file in memory, and that into the pickle: three copies of each weight.
        torch = library("torch")

        held = torch.empty(0, dtype=torch.uint8).set_(value._untyped_storage).numpy()
        return storage_of, (pickle.PickleBuffer(held), value.dtype)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BytesIO, buffers: list[Any], modules: ModuleNames | None) -> None:
        super().__init__(file, buffers=buffers)
        self._modules = modules

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == (__name__, by_canonical_name.__name__):
            return self.find_class
        # Whoever wrote it may have imported what is the script here.
        here = None if self._modules is None else self._modules.import_name(module)
        return super().find_class(here or module, name)


_BY_REFERENCE = (type, type(dump))
