"""What a strategy is told about one experience."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from cl_engine.memory.budget import Budget, Room
from cl_engine.memory.ledger import ledger
from cl_engine.randomness import torch_generator
from cl_engine.training import Training


def _silent(_: str) -> None:
    pass


@dataclass(eq=False)
class Task:
    """One experience, without its data.

    Class ids are ``0..C-1`` in the order in which the stream first exposes the classes.

    Attributes:
        index: number of the experience, from 0.
        classes: class ids present in this experience, ascending.
        new_classes: those of them that were never exposed before, ascending.
        seen_classes: how many classes are exposed by now, the new ones included.
        shape: shape of one sample, ``(C, H, W)`` for uint8 images or ``(D,)`` for float32 features.
        training: the scenario's training section.
        device: where samples and the strategy live.
        seed: root seed of the run; draw through :meth:`generator`.
        budget: the memory budget, or None.
        progress: call it with a short text while learning takes long.
        transient: bytes by name that exist only while training, as :meth:`charge` was told.
    """

    index: int
    classes: tuple[int, ...]
    new_classes: tuple[int, ...]
    seen_classes: int
    shape: tuple[int, ...]
    training: Training = field(default_factory=Training)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    seed: int = 0
    budget: Budget | None = None
    progress: Callable[[str], None] = _silent
    transient: dict[str, int] = field(default_factory=dict)
    _generators: dict[str, torch.Generator] = field(default_factory=dict, repr=False)

    def generator(self, purpose: str) -> torch.Generator:
        """Return the CPU generator of (root seed, experience, ``purpose``); asked again, the same one, advanced."""
        if purpose not in self._generators:
            self._generators[purpose] = torch_generator(self.seed, f"strategy/{self.index}/{purpose}")
        return self._generators[purpose]

    def exemplar_room(self, strategy: nn.Module) -> Room | None:
        """Return what the budget leaves for exemplars beside what ``strategy`` holds now; None without a budget."""
        return None if self.budget is None else self.budget.room(ledger(strategy))

    def exemplar_slots(self, strategy: nn.Module) -> int | None:
        """Return how many raw exemplars that is; None without a budget."""
        return None if self.budget is None else self.budget.exemplars(ledger(strategy))

    def charge(self, name: str, amount: int) -> None:
        """Declare ``amount`` bytes that exist only while training (a teacher, gradients); the largest counts."""
        self.transient[name] = max(self.transient.get(name, 0), amount)
