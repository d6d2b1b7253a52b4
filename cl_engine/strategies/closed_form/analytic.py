"""What the closed-form learners share: a fixed buffer on frozen features, sums over samples, one ridge solve."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.kinds.problems import OptionError
from cl_engine.models.backbone import BackboneOption
from cl_engine.statistics.sufficient.recursion import ROWS, Recursion
from cl_engine.statistics.sufficient.sums import Sums
from cl_engine.statistics.sufficient.symmetric import packed_length
from cl_engine.strategies.additive import Additive
from cl_engine.strategies.closed_form.backend import recursive
from cl_engine.strategies.closed_form.kept import others
from cl_engine.strategies.closed_form.projected import Projected
from cl_engine.strategies.on_features import CHUNK
from cl_engine.terms.task import Task

GammaOption = Annotated[float, Field(gt=0, allow_inf_nan=False, description="ridge penalty, absolute")]
Storage = Annotated[
    Literal["full", "packed", "float32", "smallest"],
    Field(
        description="what G is held as: full, d x d numbers, as papers count it; packed: a triangle, half the "
        "bytes and nothing lost; float32: the triangle in single precision; smallest: features of the backbone "
        "while these take fewer bytes, then the triangle"
    ),
]


class Analytic(Projected, Additive):
    """Ridge regression on a fixed buffer, equal to the joint solution whatever the stream: ACIL and its relatives.

    It holds the sums ``G = X'X`` and ``Q = Y'X``, float64, and solves ``(G + gamma I) W = Q'`` when a prediction is
    asked for; with ``solver: recursive`` the papers' R and W instead.  A solution whose residual is above 1e-8 is
    not used: gamma is raised, with a note.
    """

    gram: Tensor
    cross: Tensor
    counts: Tensor
    inverse: Tensor
    solution: Tensor
    penalty: Tensor
    kept: Tensor
    labels: Tensor

    def __init__(
        self,
        backbone: BackboneOption,
        width: int,
        gamma: float,
        projection: str | None,
        solver: str = "accumulate",
        storage: str = "full",
    ) -> None:
        super().__init__(backbone, width, projection)
        self.gamma, self.solver, self.storage = gamma, solver, storage
        self._solved: Tensor | None = None
        if solver == "recursive" and storage != "full":
            raise OptionError("storage", f"{storage} beside solver: recursive; allowed: full, as R has to be")

    def begin(self, task: Task) -> None:
        """Rebuild backbone and buffer; make room for the new classes."""
        super().begin(task)
        if task.index == 0:
            self.recursive = self.storage == "full" and recursive(self.solver, self.size, task)
            self.hold("counts", torch.zeros(0, dtype=torch.int64, device=task.device), kind="statistics")
            if self.recursive:
                empty = Recursion.empty(self.size, self.gamma, task.device)
                self.hold("inverse", empty.inverse, kind="statistics")
                self.hold("solution", empty.solution, kind="statistics")
                self.hold("penalty", empty.gamma, kind="statistics")
            else:
                self._hold_sums(task.device)
        self.counts = torch.cat([self.counts, self.counts.new_zeros(task.seen_classes - len(self.counts))])
        if self.recursive:
            state = self.recursion
            state.grow(task.seen_classes)
            self.solution = state.solution
        elif len(self.gram):
            self._grow_cross()
        self._solved = None

    def _hold_sums(self, device: torch.device) -> None:
        dtype = torch.float32 if self.storage == "float32" else torch.float64
        if self.storage == "smallest":
            gram = torch.zeros(0, dtype=dtype, device=device)
            self.hold("kept", torch.zeros(0, self.inputs_width, device=device), kind="exemplars")
            self.hold("labels", torch.zeros(0, dtype=torch.int64, device=device), kind="labels")
        else:
            gram = Sums.empty(self.size, packed=self.storage != "full", dtype=dtype, device=device).gram
        self.hold("gram", gram, kind="statistics")
        self.hold("cross", torch.zeros(0, self.size, dtype=dtype, device=device), kind="statistics")

    def _grow_cross(self) -> None:
        more = len(self.counts) - len(self.cross)
        self.cross = torch.cat([self.cross, self.cross.new_zeros(more, self.size)])

    @property
    def sums(self) -> Sums:
        """What is held, as sums; where features are held instead, the sums over them."""
        if self.storage != "smallest" or len(self.gram):
            return Sums(self.gram, self.cross, self.counts)
        made = Sums.empty(self.size, len(self.counts), packed=True, device=self.counts.device)
        for start in range(0, len(self.kept), CHUNK):
            rows = slice(start, start + CHUNK)
            made.add(self.expand(self.kept[rows].double()), self.labels[rows])
        return made

    @property
    def recursion(self) -> Recursion:
        """What is held, with ``solver: recursive``."""
        return Recursion(self.inverse, self.solution, self.penalty)

    def learn(self, task: Task, samples: Samples) -> None:
        """Add the samples to what is held."""
        self.charge_batch(task, samples, self.size)
        if self.recursive:
            task.charge("recursion", 8 * min(len(samples), ROWS) * (3 * self.size + min(len(samples), ROWS)))
        if self.storage == "smallest" and not len(self.gram):
            self._keep(task, samples)
        elif not task.dry:  # else the sums have their size already
            known = self.counts > 0
            for batch in samples.batches(CHUNK):
                self.take(self.features(batch.x), batch.y, self.labelled(batch.y, known))
        self._solved = None

    def take(self, phi: Tensor, y: Tensor, labelled: Tensor | None) -> None:
        """Add features ``[B, d]`` of classes ``[B]`` to what is held."""
        if not self.recursive:
            self.sums.add(phi, y, labelled)
            return
        before = float(self.penalty)
        self.recursion.update(phi, y, labelled)
        self.note_gamma(float(self.penalty), before)
        self.counts += torch.bincount(y, minlength=len(self.counts))

    def labelled(self, y: Tensor, known: Tensor) -> Tensor | None:
        """Return which labels count, bool ``[B]``, or None for all; ``known`` ``[C]`` classes were seen before."""
        return None

    def _keep(self, task: Task, samples: Samples) -> None:
        """Keep the features themselves, until the sums over them are smaller."""
        x = samples.rows(slice(0))
        parts = [x.new_zeros(len(samples), self.inputs_width, dtype=torch.float32)]
        if not task.dry:
            parts = [self.backbone_features(batch.x).float() for batch in samples.batches(CHUNK)]
        self.kept, self.labels = torch.cat([self.kept, *parts]), torch.cat([self.labels, samples.y])
        self.counts += torch.bincount(samples.y, minlength=len(self.counts))
        self._fold()

    def _fold(self) -> None:
        """Let go of features that are kept, where the sums over them are smaller."""
        features = len(self.kept) * (4 * self.inputs_width + 8)
        if features > 8 * (packed_length(self.size) + len(self.counts) * self.size):
            found = self.sums
            self.gram, self.cross = found.gram, found.cross
            self.kept, self.labels = self.kept[:0].clone(), self.labels[:0].clone()

    def cannot_merge(self) -> str | None:
        """R and W of the recursion are no sums."""
        return "solver: recursive holds R and W; allowed: solver: accumulate" if self.recursive else None

    def cannot_unlearn(self) -> str | None:
        """Nor does single precision give back what was added to it."""
        if self.storage == "float32":
            return "storage: float32 leaves a rest of what is taken away; allowed: full, packed, smallest"
        return self.cannot_merge()

    def take_away(self, samples: Samples) -> None:
        """Subtract the samples from the sums, or take out their features where these are kept."""
        if self.storage != "smallest" or len(self.gram):
            super().take_away(samples)
            return
        parts = [self.backbone_features(batch.x).float() for batch in samples.batches(CHUNK)]
        stay = others(self.kept, self.labels, torch.cat([self.kept[:0], *parts]), samples.y)
        self.kept, self.labels = self.kept[stay], self.labels[stay]
        self.counts -= torch.bincount(samples.y, minlength=len(self.counts))

    def subtract(self, phi: Tensor, y: Tensor) -> None:
        """Subtract features from the sums."""
        self.sums.subtract(phi, y)

    def add_state(self, other: Analytic) -> None:
        """Add the sums, or keep the features of both while that is smaller."""
        if self.storage != "smallest":
            super().add_state(other)
        elif len(self.gram) or len(other.gram):
            found = self.sums
            found.merge(other.sums)
            self.gram, self.cross, self.counts = found.gram, found.cross, found.counts
            self.kept, self.labels = self.kept[:0].clone(), self.labels[:0].clone()
        else:
            self.kept = torch.cat([self.kept, other.kept])
            self.labels = torch.cat([self.labels, other.labels])
            self.counts += other.counts
            self._fold()

    def renumber(self, classes: Tensor) -> None:
        """Give the classes other ids, the labels of kept features too."""
        before = len(self.counts)
        super().renumber(classes)
        if self.storage == "smallest":
            new = classes.new_zeros(before)
            new[classes[classes >= 0]] = (classes >= 0).nonzero().flatten()
            self.labels = new[self.labels]

    def fixed(self) -> dict[str, Tensor]:
        """Return every tensor, held or rebuilt, that does not change with samples."""
        return {name: tensor for name, tensor in super().fixed().items() if name not in ("kept", "labels")}

    def readout(self) -> Tensor:
        """Return W."""
        return self.weights()

    def predict(self, x: Tensor) -> Tensor:
        """Return ridge scores ``[B, classes]``."""
        if self._solved is None:
            self._solved = self.weights()
        return self.features(x) @ self._solved

    def weights(self) -> Tensor:
        """Return W, float64 ``[d, classes]``; gamma grows tenfold, with a note, until the residual is small.

        Raises:
            FloatingPointError: no gamma helps.
        """
        if self.recursive:
            return self.solution.T
        return self.solved(self.sums)

    def solved(self, sums: Sums) -> Tensor:
        """Solve for the weights of sums; a raised gamma is noted."""
        return self.checked(sums.weights(self.ridge()), self.ridge())

    def ridge(self) -> float:
        """Return the penalty as it is now."""
        return self.gamma
