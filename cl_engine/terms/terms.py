"""The facts of a run that a strategy is built, taught and rebuilt under, spelled once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from pydantic import TypeAdapter

from cl_engine.data.normalisation import Normalisation
from cl_engine.memory.budget import Budget
from cl_engine.memory.compression import ModelDtype
from cl_engine.memory.ledger import Entry
from cl_engine.scenarios.exposure import Exposure
from cl_engine.terms.charges import Charges
from cl_engine.terms.received import Received
from cl_engine.terms.task import Once, Task, silent
from cl_engine.terms.training import Training


@dataclass(frozen=True)
class Terms:
    """What holds for a whole run; plain data, so that it can be handed to another process.

    Attributes:
        exposures: what each experience exposes.
        shape: shape of one sample.
        training: the training section.
        device: where the strategy lives, ``cpu`` or ``cuda``.
        seed: root seed.
        budget: what may be held, or None.
        online: whether experiences are delivered in micro-batches.
        boundaries: whether strategies are told where an experience ends.
        model_dtype: what the model is held as between experiences.
        dry: nothing is trained, only the sizes of what is held matter.
        normalisation: mean and deviation per channel of images, or None.
        received: models that take the place of the one that learns.
        extractor: what features of samples are made with; in the ledger at every boundary.
        evaluate_every: accuracy is measured every so many delivered samples; None: only after experiences.
    """

    exposures: tuple[Exposure, ...]
    shape: tuple[int, ...]
    training: Training = dataclasses.field(default_factory=Training)
    device: str = "cpu"
    seed: int = 0
    budget: Budget | None = None
    online: bool = False
    boundaries: bool = True
    model_dtype: ModelDtype = "float32"
    dry: bool = False
    normalisation: Normalisation | None = None
    extractor: tuple[Entry, ...] = ()
    evaluate_every: int | None = None
    received: tuple[Received, ...] = ()

    def task(
        self,
        index: int,
        charges: Charges | None = None,
        progress: Callable[[str], None] | None = None,
        once: Once | None = None,
    ) -> Task:
        """Return a fresh task for experience ``index``; what it charges is written to ``charges``."""
        return Task(
            index,
            self.exposures[index],
            shape=self.shape,
            training=self.training.at(index),
            device=torch.device(self.device),
            seed=self.seed,
            budget=None if self.budget is None else self.budget.at(index),
            online=self.online,
            boundaries=self.boundaries,
            model_dtype=self.model_dtype,
            dry=self.dry,
            progress=progress or silent,
            normalisation=self.normalisation,
            evaluate_every=self.evaluate_every,
            charges=charges,
            once=once,
            received=next((model for model in self.received if model.at == index), None),
        )

    def enforce(self, entries: list[Entry], transient: Mapping[str, int], index: int) -> None:
        """See that what is held after an experience is within the budget, if there is one.

        Raises:
            MemoryContractError: it is not.
        """
        if self.budget is not None:
            self.budget.enforce(entries, transient, index)

    def until(self, index: int) -> Terms:
        """Return the terms without what experiences after ``index`` will bring."""
        budget = None if self.budget is None else self.budget.until(index)
        return dataclasses.replace(self, exposures=self.exposures[: index + 1], budget=budget)

    def to_json(self) -> str:
        """Return the terms as a JSON text; :meth:`from_json` reads it."""
        return _adapter().dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> Terms:
        """Return the terms that :meth:`to_json` wrote."""
        return _adapter().validate_json(text)


def _adapter() -> TypeAdapter[Terms]:
    return TypeAdapter(Terms)
