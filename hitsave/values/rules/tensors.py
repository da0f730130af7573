"""PyTorch: tensors, and the few types beside them that pickle describes by more than their value.

A tensor is its dtype, shape, elements, the kind of device it is on, and whether it takes part in differentiation, with
the gradient it has accumulated. Strides and storage don't count. Modules, optimisers and whole models are ordinary
instances made of these.
"""

from __future__ import annotations

import sys

from hitsave.errors import CannotDigest
from hitsave.values.parts import Attributes, Buffer, Parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hitsave.values.canonical import Canonical

    Rule = Callable[[Any, Canonical], Parts]


def find(cls: type) -> Rule | None:
    """The rule for a class of PyTorch or derived from one, or None."""
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "Tensor"):  # it is still being imported
        return None
    if issubclass(cls, torch.Tensor):
        return _tensor
    if cls in (torch.dtype, torch.device, torch.layout, torch.memory_format):
        return lambda value, _: Parts("torch", str(value))
    if cls is torch.Size:
        return lambda value, _: Parts("torch.Size", *value)
    if cls is torch.Generator:
        return lambda value, _: Parts("torch.Generator", str(value.device), value.get_state())
    return None


def _tensor(value: Any, _: Canonical) -> Parts:
    torch: Any = sys.modules["torch"]
    data = value.detach()
    if data.layout is not torch.strided:
        data = data.coalesce() if data.layout is torch.sparse_coo else data
        names = ("indices", "values") if data.layout is torch.sparse_coo else ("crow_indices", "col_indices", "values")
        content: object = tuple(getattr(data, name)() for name in names)
    elif data.is_quantized or data.is_meta:
        raise CannotDigest(
            f"no stable digest for a tensor that is {'quantized' if data.is_quantized else 'without data'}"
        )
    else:
        content = _elements(data)
    held = {"grad": value.grad if value.is_leaf else None, **getattr(value, "__dict__", {})}
    kind = type(value)
    name = kind.__name__ if kind.__module__.partition(".")[0] == "torch" else kind
    shape = tuple(value.shape)
    return Parts(
        "tensor", name, str(value.dtype), shape, value.device.type, value.requires_grad, content, Attributes(held)
    )


def _elements(data: Any) -> object:
    torch: Any = sys.modules["torch"]
    if data.numel() == 0:
        return b""
    data = data.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return Buffer(data.view(torch.uint8).numpy())
