"""What a strategy is told about one experience."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn

from cl_engine.errors import EngineError
from cl_engine.memory.budget import Budget, Room
from cl_engine.memory.compression import ModelDtype, packed_entries
from cl_engine.memory.ledger import Entry, ledger
from cl_engine.randomness import torch_generator
from cl_engine.training.loop import Stepper, Training


class HiddenError(EngineError, RuntimeError):
    """A strategy asks for something that the stream hides."""


class Exposure(NamedTuple):
    """The classes of one experience, as ids in order of first exposure."""

    classes: tuple[int, ...]
    new_classes: tuple[int, ...]
    seen_classes: int


def _silent(_: str) -> None:
    pass


@dataclass(eq=False)
class Task:
    """One experience, without its data.

    Class ids are ``0..C-1`` in the order in which the stream first exposes the classes.

    Attributes:
        index: number of the experience, from 0.
        exposure: what the experience exposes; read :attr:`classes`, :attr:`new_classes`, :attr:`seen_classes`.
        shape: shape of one sample, ``(C, H, W)`` for uint8 images or ``(D,)`` for float32 features.
        training: the scenario's training section.
        device: where samples and the strategy live.
        seed: root seed of the run; draw through :meth:`generator`.
        budget: the memory budget, or None.
        online: whether ``learn`` gets the experience in micro-batches, each sample once.
        boundaries: whether the stream tells where an experience ends and what is in it.
        model_dtype: what the model is held as between experiences.
        dry: only the sizes of what is held matter, so ``learn`` may skip what does not change them.
        progress: call it with a short text while learning takes long.
        transient: bytes by name that exist only while training, as :meth:`charge` was told.
        stepper: the training loop's optimizer of an online experience.
        updates_due: optimizer steps that delivered samples have earned and that were not taken yet.
    """

    index: int
    exposure: Exposure
    shape: tuple[int, ...]
    training: Training = field(default_factory=Training)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    seed: int = 0
    budget: Budget | None = None
    online: bool = False
    boundaries: bool = True
    model_dtype: ModelDtype = "float32"
    dry: bool = False
    progress: Callable[[str], None] = _silent
    transient: dict[str, int] = field(default_factory=dict)
    stepper: Stepper | None = None
    updates_due: float = 0.0
    _generators: dict[str, torch.Generator] = field(default_factory=dict, repr=False)

    @property
    def seen_classes(self) -> int:
        """How many classes are exposed by the end of this experience, the new ones included."""
        return self.exposure.seen_classes

    @property
    def classes(self) -> tuple[int, ...]:
        """Class ids present in this experience, ascending.

        Raises:
            HiddenError: the stream hides its boundaries.
        """
        return self._visible("classes", self.exposure.classes)

    @property
    def new_classes(self) -> tuple[int, ...]:
        """Class ids first exposed in this experience, ascending.

        Raises:
            HiddenError: the stream hides its boundaries.
        """
        return self._visible("new_classes", self.exposure.new_classes)

    def _visible(self, name: str, value: tuple[int, ...]) -> tuple[int, ...]:
        if not self.boundaries:
            raise HiddenError(
                f"the strategy asks for task.{name}, which this stream hides (its boundaries are not visible); "
                "allowed: task.seen_classes and the samples' own labels"
            )
        return value

    def generator(self, purpose: str) -> torch.Generator:
        """Return the CPU generator of (root seed, experience, ``purpose``); asked again, the same one, advanced."""
        if purpose not in self._generators:
            self._generators[purpose] = torch_generator(self.seed, f"strategy/{self.index}/{purpose}")
        return self._generators[purpose]

    def exemplar_room(self, strategy: nn.Module) -> Room | None:
        """Return what the budget leaves for exemplars beside what ``strategy`` holds now; None without a budget."""
        return None if self.budget is None else self.budget.room(self._held(strategy), self.transient)

    def exemplar_slots(self, strategy: nn.Module) -> int | None:
        """Return how many raw exemplars that is; None without a budget."""
        return None if self.budget is None else self.budget.exemplars(self._held(strategy), self.transient)

    def _held(self, strategy: nn.Module) -> list[Entry]:
        return packed_entries(ledger(strategy), self.model_dtype)

    def charge(self, name: str, amount: int) -> None:
        """Declare ``amount`` bytes that exist only while training (a teacher, gradients); the largest counts."""
        self.transient[name] = max(self.transient.get(name, 0), amount)
