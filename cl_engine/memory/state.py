"""What survives an experience: the bytes that a checkpoint file has, and nothing beside them.

A state is read off a module into a safetensors file, and only ever read back from there, so that no object, alias,
stride or tensor subclass crosses a boundary.  What the module's own construction did not announce (names, kinds,
types, shapes) is information too: it is written into a tensor of its own, kind ``structure``, and charged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from cl_engine.memory.compression import SCALE, ModelDtype, pack, unpack
from cl_engine.memory.file import TensorFile
from cl_engine.memory.held import Held
from cl_engine.memory.ledger import Entry, MemoryContractError, entry_of, kinds_of, ledger

STRUCTURE = "#structure"  # no attribute of a module can be called that
KNOWN = ("torch", "cl_engine")  # whose modules are loaded by copying, unless a hook says otherwise
STATE_METHODS = ("state_dict", "load_state_dict", "_save_to_state_dict", "_load_from_state_dict")
STATE_HOOKS = ("_state_dict_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks")


class Declared(NamedTuple):
    """One tensor that a strategy has after ``begin`` without having seen a sample."""

    kind: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    def announces(self, tensor: Tensor) -> bool:
        """Tell whether ``tensor`` differs from this at most in its number of rows, which its bytes pay for."""
        rows_only = tensor.ndim > 0 and tensor.numel() > 0 and tuple(tensor.shape[1:]) == self.shape[1:]
        same_shape = tuple(tensor.shape) == self.shape or (rows_only and len(self.shape) > 0)
        return tensor.dtype == self.dtype and (same_shape or tuple(tensor.shape) == self.empty().shape)

    def empty(self) -> Tensor:
        """Return the one empty tensor that may stand in its place; its other lengths say nothing."""
        shape = self.shape if 0 in self.shape else (0, *self.shape[1:])
        return torch.empty(shape, dtype=self.dtype)


@dataclass(frozen=True)
class Signature:
    """What a strategy declares by ``begin`` alone, so that no sample can have a part in it.

    Attributes:
        declared: its state by name.
        regenerable: ledger entries of what is rebuilt from a seed, 0 bytes each.
    """

    declared: Mapping[str, Declared]
    regenerable: tuple[Entry, ...] = ()

    @classmethod
    def of(cls, module: nn.Module) -> Signature:
        """Read the signature off a module that has begun and never saw a sample."""
        kinds, state = kinds_of(module), module.state_dict()
        entries = ledger(module, state)
        declared = {n: Declared(kinds.get(n, "statistics"), tuple(t.shape), t.dtype) for n, t in state.items()}
        return cls(declared, tuple(e for e in entries if e.kind == "regenerable"))


class HeldState:
    """What survives an experience, as the bytes of its file.

    Attributes:
        file: the tensors; who changed one of its views would change what is held.
        entries: the ledger: every tensor of the file, then what is regenerable.
    """

    def __init__(self, tensors: Mapping[str, Tensor], signature: Signature) -> None:
        self.file = TensorFile(tensors)
        self.entries = _entries(tensors, signature)

    @property
    def data(self) -> memoryview:
        """The safetensors file, whole, not to be written to."""
        return self.file.data

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors, copied anew each time, so that they are nobody else's."""
        return {name: tensor.clone() for name, tensor in self.file.views().items()}

    @classmethod
    def read(cls, data: bytes, signature: Signature) -> HeldState:
        """Take over a file that another process wrote: its tensors, and nothing that stands beside them.

        Raises:
            MemoryContractError: it holds what was neither declared nor charged, or is no such file.
        """
        try:
            tensors = load(data)
        except (SafetensorError, ValueError) as error:
            raise MemoryContractError(f"what is held cannot be read: {' '.join(str(error).split())}") from None
        _check_announced(tensors, signature, _structure(tensors))
        return cls(tensors, signature)


def hold(module: nn.Module, signature: Signature, model_dtype: ModelDtype = "float32") -> HeldState:
    """Copy what ``module`` holds off it, the model as ``model_dtype``.

    Args:
        module: a strategy that has learned.
        signature: what it declares without having learned.
        model_dtype: what parameters, heads and buffers are held as.

    Raises:
        MemoryContractError: something that cannot be held.
    """
    state, kinds = module.state_dict(), kinds_of(module)
    entries = ledger(module, state)
    tensors: dict[str, Tensor] = {}
    late: dict[str, list[Any]] = {}
    for name, tensor in state.items():
        if tensor.is_meta:
            raise MemoryContractError(
                f"state_dict() holds {name!r} on the meta device; allowed: tensors with values"
            )
        tensor, declared = tensor.detach(), signature.declared.get(name)
        if declared is not None and not tensor.numel():
            tensor = declared.empty()
        if (declared is None or not declared.announces(tensor)) and _is_held(module, name):
            late[name] = [kinds[name], str(tensor.dtype).removeprefix("torch."), *tensor.shape]
        tensors[name] = tensor
    tensors = pack(tensors, [e._replace(kind=_kind(signature, late, e.name)) for e in entries], model_dtype)
    if late:
        tensors[STRUCTURE] = torch.frombuffer(bytearray(json.dumps(late).encode()), dtype=torch.uint8)
    return HeldState(tensors, signature)


def restore(module: nn.Module, held: HeldState, signature: Signature, device: torch.device) -> None:
    """Give a module that has begun what was held.

    Raises:
        MemoryContractError: the state does not fit what ``begin`` builds.
    """
    # A module that torch itself loads copies what it is given; any other might keep it.
    packed = held.tensors if any(map(loads_otherwise, module.modules())) else held.file.views()
    late = _structure(packed)
    _check_announced(packed, signature, late, type(module).__name__ + ".")
    packed.pop(STRUCTURE, None)
    tensors = unpack(packed, {name: declared.dtype for name, declared in signature.declared.items()})
    try:
        for name, (kind, *_) in late.items():
            owner, _, own_name = name.rpartition(".")
            part = module.get_submodule(owner)
            if not isinstance(part, Held):
                raise RuntimeError(f"{name} belongs to no module that holds")
            part.hold(own_name, tensors[name].to(device, copy=True), kind=kind)
        module.load_state_dict(tensors, strict=True)
        loaded = module.state_dict()
        for name, tensor in tensors.items():
            if loaded[name].dtype != tensor.dtype:
                raise RuntimeError(f"{name} is {tensor.dtype}, where begin() makes {loaded[name].dtype}")
    except (RuntimeError, AttributeError, KeyError, ValueError) as error:
        raise MemoryContractError(
            f"{type(module).__name__}.begin() does not rebuild what is held: {' '.join(str(error).split())}; "
            "allowed: state that begin() creates, or that hold() declares"
        ) from None


def loads_otherwise(part: nn.Module) -> bool:
    """Tell whether a module says itself how its state is written or read."""
    own = any(not is_known(getattr(type(part), method)) for method in STATE_METHODS)
    return own or any(getattr(part, hook) for hook in STATE_HOOKS)


def is_known(made_by: Any) -> bool:
    """Tell whether a class or function is the package's own, or torch's."""
    return str(getattr(made_by, "__module__", "")).partition(".")[0] in KNOWN


def _entries(tensors: Mapping[str, Tensor], signature: Signature) -> list[Entry]:
    late, place = _structure(tensors), {name: n for n, name in enumerate(signature.declared)}
    # A file has no order of its own: declared state first, as begin() made it, then the rest by name.
    names = sorted(tensors, key=lambda name: (place.get(name.removesuffix(SCALE), len(place)), name))
    entries = [entry_of(_kind(signature, late, name), name, tensors[name]) for name in names]
    return [*entries, *signature.regenerable]


def _kind(signature: Signature, late: Mapping[str, Any], name: str) -> str:
    if name == STRUCTURE:
        return "structure"
    name = name.removesuffix(SCALE)
    if name in late and name not in signature.declared:
        return str(late[name][0])
    return signature.declared[name].kind if name in signature.declared else "statistics"


def _structure(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    if STRUCTURE not in tensors:
        return {}
    try:
        late: dict[str, Any] = json.loads(tensors[STRUCTURE].numpy().tobytes())
        if not all(isinstance(said, list) and said for said in late.values()):
            raise ValueError("no lists")
    except (ValueError, RecursionError, AttributeError, TypeError):
        raise MemoryContractError("the structure that is held cannot be read") from None
    return late


def _check_announced(
    tensors: Mapping[str, Tensor], signature: Signature, late: Mapping[str, Any], of: str = ""
) -> None:
    """Refuse a tensor whose name, type or shape was neither declared by ``begin`` nor charged as structure."""
    dtypes = {name: declared.dtype for name, declared in signature.declared.items()}
    for name, tensor in unpack(tensors, dtypes).items():
        declared = signature.declared.get(name)
        if name == STRUCTURE or name in late or (declared is not None and declared.announces(tensor)):
            continue
        made = "nothing" if declared is None else f"{declared.dtype} {list(declared.shape)}"
        raise MemoryContractError(
            f"{of}begin() does not rebuild what is held: {name} is {tensor.dtype} {list(tensor.shape)}, where it "
            f"makes {made}; allowed: state that begin() creates, or that hold() declares"
        )


def _is_held(module: nn.Module, name: str) -> bool:
    owner, _, own_name = name.rpartition(".")
    part = module.get_submodule(owner)
    return isinstance(part, Held) and own_name in part._held_kinds
