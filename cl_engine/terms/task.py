"""What a strategy is told about one experience."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import nn

from cl_engine.data.normalisation import Normalisation
from cl_engine.errors import EngineError
from cl_engine.memory.budget import Budget, Room
from cl_engine.memory.compression import ModelDtype, packed_entries
from cl_engine.memory.exemplars.encoded import per_sample_kinds
from cl_engine.memory.ledger import Entry, ledger
from cl_engine.models.teacher import frozen_copy
from cl_engine.randomness import torch_generator
from cl_engine.scenarios.exposure import Exposure
from cl_engine.terms.charges import Charges, bytes_of
from cl_engine.terms.received import Received
from cl_engine.terms.training import Training

T = TypeVar("T")
Module = TypeVar("Module", bound=nn.Module)
Once = Callable[["Task", nn.Module, Callable[[], None]], None]
Observe = Callable[[Sequence[nn.Parameter]], None]


class HiddenError(EngineError, RuntimeError):
    """A strategy asks for something that the stream hides."""


def silent(_: str) -> None:
    """Tell nobody."""


def _each_time(task: Task, module: nn.Module, train: Callable[[], None]) -> None:
    train()


class Task:
    """One experience, without its data.  Everything in it is the strategy's own copy.

    Class ids are ``0..C-1`` in the order in which experiences first expose the classes, so ``y < old_classes``
    tells the samples of old classes; the new ones of an experience follow the stream's ``class_order``, if any.

    Attributes:
        index: number of the experience, from 0.
        shape: shape of one sample, ``(C, H, W)`` for uint8 images or ``(D,)`` for float32 features.
        training: the scenario's training section, as it holds for this experience.
        device: where samples and the strategy live.
        online: whether ``learn`` gets the experience in micro-batches, each sample once.
        boundaries: whether the stream tells where an experience ends and what is in it.
        dry: only the sizes of what is held matter, so ``learn`` may skip what does not change them.
        progress: call it with a short text while learning takes long.
        received: the model that takes the place of the one that learns, before this experience, or None.
        normalisation: mean and deviation per channel that image values are standardised by, or None for [-1, 1].
        evaluate_every: predictions are asked for every so many samples; None: only after experiences.
    """

    def __init__(
        self,
        index: int,
        exposure: Exposure,
        *,
        shape: tuple[int, ...],
        training: Training | None = None,
        device: torch.device | None = None,
        seed: int = 0,
        budget: Budget | None = None,
        online: bool = False,
        boundaries: bool = True,
        model_dtype: ModelDtype = "float32",
        dry: bool = False,
        progress: Callable[[str], None] = silent,
        normalisation: Normalisation | None = None,
        evaluate_every: int | None = None,
        charges: Charges | None = None,
        once: Once | None = None,
        received: Received | None = None,
    ) -> None:
        self.index, self.shape, self.training = index, shape, copy.copy(training or Training())
        self.device = device or torch.device("cpu")
        self.online, self.boundaries, self.dry = online, boundaries, dry
        self.progress, self.normalisation, self.evaluate_every = progress, normalisation, evaluate_every
        self.received = received
        self._seen, self._old = exposure.seen_classes, exposure.seen_classes - len(exposure.new_classes)
        self._visible = (exposure.classes, exposure.new_classes) if boundaries else None
        self._seed, self._budget, self._model_dtype = seed, copy.copy(budget), model_dtype
        self._charges, self._once = charges or Charges(), once or _each_time
        self._generators: dict[str, torch.Generator] = {}
        self._kept: dict[str, Any] = {}
        self.steppers: dict[str, Any] = {}  # the training loop's optimizers of an online experience, by name
        self.observe: Observe | None = None  # called by the training loop with what a step is about to move

    @property
    def seen_classes(self) -> int:
        """How many classes are exposed by the end of this experience, the new ones included."""
        return self._seen

    @property
    def old_classes(self) -> int:
        """How many classes earlier experiences exposed; their ids are ``0..old_classes - 1``."""
        return self._old

    @property
    def classes(self) -> tuple[int, ...]:
        """Class ids present in this experience, ascending.

        Raises:
            HiddenError: the stream hides its boundaries.
        """
        return self._shown("classes")[0]

    @property
    def new_classes(self) -> tuple[int, ...]:
        """Class ids first exposed in this experience, ascending.

        Raises:
            HiddenError: the stream hides its boundaries.
        """
        return self._shown("new_classes")[1]

    def _shown(self, name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if self._visible is None:
            raise HiddenError(
                f"the strategy asks for task.{name}, which this stream hides (its boundaries are not visible); "
                "allowed: task.seen_classes, task.old_classes and the samples' own labels"
            )
        return self._visible

    def generator(self, purpose: str) -> torch.Generator:
        """Return the CPU generator of (root seed, experience, ``purpose``); asked again, the same one, advanced."""
        if purpose not in self._generators:
            self._generators[purpose] = torch_generator(self._seed, f"strategy/{self.index}/{purpose}")
        return self._generators[purpose]

    def keep(self, name: str, make: Callable[[], T]) -> T:
        """Return what ``make()`` returned when this experience first asked for ``name``.

        It lives as long as the experience, through all micro-batches of an online one, and no longer; its tensors
        are charged under ``name`` among what exists only while training.

        >>> task = Task(0, Exposure((0, 1), (0, 1), 2), shape=(4,))
        >>> task.keep("sums", lambda: torch.zeros(3)) is task.keep("sums", lambda: torch.ones(3))
        True
        >>> task.transient
        {'sums': 12}
        """
        if name not in self._kept:
            self._kept[name] = make()
            if amount := bytes_of(self._kept[name]):
                self.charge(name, amount)
        kept: T = self._kept[name]
        return kept

    def once(self, module: nn.Module, train: Callable[[], None]) -> None:
        """Call ``train()``, which trains ``module`` and changes nothing else, or take over what it would have made.

        In the first experience runs that differ in their memory budget alone train once, if the strategy's class
        says that the budget decides its exemplars only; so while ``train`` runs there, no budget is to be seen.
        """
        if self.index:
            train()
            return
        budget, self._budget = self._budget, None
        try:
            self._once(self, module, train)
        finally:
            self._budget = budget

    def random_state(self) -> dict[str, torch.Tensor]:
        """Return the state of every generator by purpose, and of torch's own for the CPU under an empty name."""
        own = {purpose: generator.get_state() for purpose, generator in self._generators.items()}
        return {"": torch.default_generator.get_state(), **own}

    def set_random_state(self, states: Mapping[str, torch.Tensor]) -> None:
        """Set the generators to what :meth:`random_state` returned in an equal experience."""
        for purpose, state in states.items():
            (self.generator(purpose) if purpose else torch.default_generator).set_state(state)

    def teacher(self, module: Module) -> Module | None:
        """Return a frozen copy of ``module`` in evaluation mode, as it was when this experience first asked.

        None while there is no old class.  A head that has grown for the new classes has their columns in the
        teacher too: cut its scores with ``[:, :task.old_classes]``.
        """
        if not self.old_classes:
            return None
        return self.keep("teacher", lambda: frozen_copy(module))

    def exemplar_room(self, strategy: nn.Module) -> Room | None:
        """Return what the budget leaves for exemplars beside what ``strategy`` holds now; None without a budget."""
        if self._budget is None:
            return None
        return self._budget.room(self._held(strategy), self.transient, per_sample_kinds(strategy))

    def exemplar_slots(self, strategy: nn.Module) -> int | None:
        """Return how many raw exemplars that is; None without a budget."""
        return None if self._budget is None else self._budget.exemplars(self._held(strategy), self.transient)

    def _held(self, strategy: nn.Module) -> list[Entry]:
        return packed_entries(ledger(strategy), self._model_dtype)

    def charge(self, name: str, amount: int) -> None:
        """Declare ``amount`` bytes that exist only while training (a teacher, gradients); the largest counts.

        Raises:
            TypeError: the amount is no integer.
            ValueError: the amount is negative.
        """
        self._charges.add(name, amount)

    @property
    def transient(self) -> dict[str, int]:
        """Bytes by name that exist only while training, as :meth:`charge` was told; a copy."""
        return self._charges.largest()
