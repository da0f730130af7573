"""`safetensors`: a PyTorch tensor, or a dict of them such as `model.state_dict()`, in the format of that name.

    8 bytes   length of the header, little-endian
    header    JSON: {name: {dtype, shape, data_offsets}}, padded with spaces to a multiple of 64
    data      the tensors one after the other, in row-major order

Any reader of safetensors can open it (https://github.com/huggingface/safetensors); the package itself isn't needed, and
unlike its own writer we copy nothing. What the format doesn't know is under "__metadata__": `hitsave` is JSON with the
order of names, the kind of dict and, of a state dict, the versions it carries.

Only ordinary tensors on the CPU that don't share memory or take part in differentiation are for here.
"""

from __future__ import annotations

import sys

from hitsave.errors import StoreError
from hitsave.values.naming import library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

version = 1
# History: 1  2026-11

_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "bool": "BOOL",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}
_ALIGNMENT = 64


def dump(value: Any, _: object = None) -> list[Any] | None:
    """The header, and the memory of each tensor; None for anything else."""
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "Tensor"):
        return None
    ordered = sys.modules["collections"].OrderedDict
    if type(value) is torch.Tensor:
        about: dict[str, Any] = {"kind": "tensor"}
        tensors = {"tensor": value}
    elif type(value) is dict or type(value) is ordered:
        about = {"kind": "dict" if type(value) is dict else "OrderedDict", "order": list(value)}
        held = getattr(value, "__dict__", {})
        if held and not _is_state_metadata(held):
            return None
        if held:
            about["metadata"] = list(held["_metadata"].items())
        tensors = value
    else:
        return None
    if not tensors or not all(type(name) is str and name != "__metadata__" for name in tensors):
        return None
    if not all(type(tensor) is torch.Tensor for tensor in tensors.values()):
        return None
    heads, buffers = _lay_out(tensors)
    if heads is None:
        return None
    return _framed(heads, about, buffers)


def load(data: memoryview, _: object = None) -> Any:
    """The tensors, in the memory of `data` if that is writable."""
    import json

    length = int.from_bytes(data[:8], "little")
    if length + 8 > data.nbytes:
        raise StoreError("a stored state dict is damaged: it ends too early")
    header = json.loads(bytes(data[8 : 8 + length]))
    about = json.loads(header.pop("__metadata__")["hitsave"])
    body = data[8 + length :]
    if body.readonly:
        body = memoryview(bytearray(body))
    if about["kind"] == "tensor":
        return _tensor(header["tensor"], body)
    made: Any = {name: _tensor(header[name], body) for name in about["order"]}
    if about["kind"] == "OrderedDict":
        ordered: Any = __import__("collections").OrderedDict
        made = ordered(made)
        if "metadata" in about:
            made._metadata = ordered((name, dict(kept)) for name, kept in about["metadata"])
    return made


def take(value: Any) -> tuple[tuple[str, tuple[int, ...]], Any] | None:
    """((dtype, shape), bytes) of one tensor, for `tree`; None if that wouldn't be all of it."""
    torch: Any = sys.modules["torch"]
    if type(value) is not torch.Tensor:
        return None
    heads, buffers = _lay_out({"tensor": value})
    if heads is None:
        return None
    return (heads["tensor"]["dtype"], tuple(heads["tensor"]["shape"])), buffers[0] if buffers else b""


def make(head: tuple[str, tuple[int, ...]], buffer: Any) -> Any:
    """The tensor that `take` described, in the memory of `buffer`."""
    dtype, shape = head
    return _tensor({"dtype": dtype, "shape": shape, "data_offsets": (0, len(buffer))}, buffer)


def _lay_out(tensors: dict[str, Any]) -> tuple[Any, list[Any]]:
    """({name: what the header says of it}, the buffers), or (None, []) if one of them isn't ordinary."""
    torch: Any = sys.modules["torch"]
    heads: dict[str, Any] = {}
    buffers: list[Any] = []
    storages: set[int] = set()
    offset = 0
    for name, tensor in tensors.items():
        dtype = _DTYPES.get(str(tensor.dtype).removeprefix("torch."))
        plain = tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
        if dtype is None or not plain or tensor.requires_grad or tensor.grad is not None or tensor.__dict__:
            return None, []
        if tensor.is_conj() or tensor.is_neg() or not tensor.is_contiguous():
            return None, []
        storage = tensor.untyped_storage().data_ptr()
        if tensor.numel():
            if storage in storages:
                return None, []
            storages.add(storage)
            buffers.append(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))
        size_bytes = tensor.numel() * tensor.element_size()
        heads[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, offset + size_bytes]}
        offset += size_bytes
    return heads, buffers


def _framed(heads: dict[str, Any], about: dict[str, Any], buffers: list[Any]) -> list[Any]:
    import json

    header = json.dumps({"__metadata__": {"hitsave": json.dumps(about)}, **heads}, separators=(",", ":")).encode()
    header += b" " * (-(len(header) + 8) % _ALIGNMENT)
    return [len(header).to_bytes(8, "little") + header, *buffers]


def _tensor(head: dict[str, Any], body: Any) -> Any:
    torch = library("torch")

    start, end = head["data_offsets"]
    names = {code: name for name, code in _DTYPES.items()}
    dtype = getattr(torch, names[head["dtype"]])
    if start == end:
        return torch.empty(head["shape"], dtype=dtype)
    if not 0 <= start < end <= len(body):
        raise StoreError("a stored tensor is damaged: it ends too early")
    data = torch.frombuffer(body, dtype=torch.uint8, offset=start, count=end - start)
    if start % dtype.itemsize or data.data_ptr() % dtype.itemsize:  # after one of an odd length
        data = data.clone()
    return data.view(dtype).reshape(list(head["shape"]))


def _is_state_metadata(held: dict[str, Any]) -> bool:
    metadata: Any = held.get("_metadata")
    if list(held) != ["_metadata"] or type(metadata) is not sys.modules["collections"].OrderedDict:
        return False
    return all(
        type(name) is str and type(kept) is dict and all(type(key) is str and type(v) is int for key, v in kept.items())
        for name, kept in metadata.items()
    )
