"""The ledger: every byte that survives from one experience to the next, with its kind and name.

The ledger is read off ``state_dict()``, which is also exactly what the checkpoint holds.  So the sum of the
ledger, the held bytes that are reported and the tensor bytes on disk are one number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from cl_engine.errors import EngineError
from cl_engine.memory.held import unholdable

POLICIES: dict[str, frozenset[str] | None] = {
    "full": None,  # everything that is held
    "paper": frozenset({"parameters", "exemplars"}),  # MEMO (Zhou et al., ICLR 2023, section 4.2)
}

# What is held, and what exists only while training, as it is called here; a strategy may add kinds of its own.
KINDS = (
    *("parameters", "head", "buffers", "exemplars", "labels", "offsets", "prototypes", "statistics", "structure"),
    *("gradients", "optimizer", "activations", "batch", "decoded exemplars", "teacher"),
)

Policy = str | tuple[str, ...]  # the name of a policy, or the kinds that count


class MemoryContractError(EngineError, RuntimeError):
    """A strategy holds what it may not hold, or more than its budget."""

    status = 3

    def __init__(self, message: str, entries: Iterable[Entry] = ()) -> None:
        super().__init__(message)
        self.entries = list(entries)


class Entry(NamedTuple):
    """One tensor of the ledger."""

    kind: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int

    def plain(self) -> dict[str, Any]:
        """Return the entry as JSON holds it."""
        return {**self._asdict(), "shape": list(self.shape)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Entry:
        """Return the entry that :meth:`plain` described."""
        return cls(**{**plain, "shape": tuple(plain["shape"])})


def ledger(module: nn.Module, state: Mapping[str, Any] | None = None) -> list[Entry]:
    """List what ``module`` holds in the order of its ``state_dict()``, then what it can regenerate (0 bytes).

    ``state`` is that ``state_dict()`` where it was taken already.

    Kinds: ``parameters``, or the ``ledger_kind`` of the module that owns them (a classifier's is ``head``);
    ``buffers`` (such as batch-norm statistics); and whatever :meth:`Held.hold` was told.  ``structure`` is what
    rebuilding needs to know of tensors that ``learn`` held and ``begin`` did not declare: their names and kinds.

    Raises:
        MemoryContractError: ``state_dict()`` holds something that is no dense tensor.

    >>> [tuple(entry) for entry in ledger(nn.Linear(2, 3))]
    [('parameters', 'weight', (3, 2), 'float32', 24), ('parameters', 'bias', (3,), 'float32', 12)]
    """
    kinds = kinds_of(module)
    entries = []
    for name, tensor in (module.state_dict() if state is None else state).items():
        if wrong := unholdable(name, tensor):
            raise MemoryContractError(f"state_dict() holds {name!r}: {wrong}")
        entries.append(entry_of(kinds.get(name, "statistics"), name, tensor))
    for name, tensor in module.named_buffers(remove_duplicate=False):
        if kinds.get(name) == "regenerable":
            entries.append(entry_of("regenerable", name, tensor)._replace(bytes=0))
    return entries


def counts(policy: Policy, kind: str) -> bool:
    """Tell whether a policy counts entries of a kind.

    >>> counts("full", "labels"), counts("paper", "labels"), counts(("labels", "head"), "labels")
    (True, False, True)
    """
    counted = POLICIES[policy] if isinstance(policy, str) else policy
    return counted is None or kind in counted


def policy_name(policy: Policy) -> str:
    """Return what a policy is called in messages."""
    return policy if isinstance(policy, str) else " + ".join(policy)


def held_bytes(entries: Iterable[Entry], policy: Policy = "full") -> int:
    """Sum the bytes that ``policy`` counts."""
    return sum(e.bytes for e in entries if counts(policy, e.kind))


def counted_bytes(entries: Iterable[Entry], transient: Mapping[str, int], policy: Policy) -> int:
    """Sum what ``policy`` counts: of what is held and, if it lists kinds, of what exists only while training."""
    passing = 0 if isinstance(policy, str) else sum(n for name, n in transient.items() if name in policy)
    return held_bytes(entries, policy) + passing


def table(entries: Iterable[Entry]) -> str:
    """Format entries as aligned text, largest first."""
    rows = sorted(entries, key=lambda e: -e.bytes)
    cells = [(e.kind, e.name, "x".join(map(str, e.shape)) or "scalar", e.dtype, f"{e.bytes:,}") for e in rows]
    cells = [("kind", "name", "shape", "dtype", "bytes"), *cells]
    widths = [max(len(row[i]) for row in cells) for i in range(5)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row[:4], widths[:4], strict=True)), row[4].rjust(widths[4])])
        for row in cells
    )


def entry_of(kind: str, name: str, tensor: Tensor) -> Entry:
    """Return the entry of a tensor."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Entry(kind, name, tuple(tensor.shape), dtype, tensor.numel() * tensor.element_size())


def kinds_of(module: nn.Module) -> dict[str, str]:
    """Return the kind of every parameter and buffer of ``module``, by name."""
    kinds = {}
    for prefix, part in module.named_modules(remove_duplicate=False):
        dot = prefix + "." if prefix else ""
        kinds.update({dot + name: getattr(part, "ledger_kind", "parameters") for name in part._parameters})
        declared = getattr(part, "_held_kinds", {})
        kinds.update({dot + name: declared.get(name, "buffers") for name in part._buffers})
    return kinds
