"""DS-AL: a second stream learns what the first one leaves over."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption
from cl_engine.statistics.sufficient.sums import Sums
from cl_engine.statistics.sufficient.symmetric import add_gram
from cl_engine.strategies.closed_form.analytic import GammaOption
from cl_engine.strategies.closed_form.buffer import ProjectionOption, WidthOption
from cl_engine.strategies.closed_form.projected import Projected
from cl_engine.strategies.on_features import CHUNK
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class Residual(NamedTuple):
    """An experience's own sums.

    Attributes:
        sums: over the compensation stream's features and the labels.
        across: products of its features and the main stream's, ``[d, d]``.
    """

    sums: Sums
    across: Tensor


class DSAL(Projected):
    """DS-AL (Zhuang et al., AAAI 2024): a main stream as ACIL's, and one that is fitted to its residual.

    Both see ``h = f(x) A``: the main stream ReLU(h), the compensation stream tanh(h).  The second one's targets are
    ``Y - X_M W_M``, zero for all classes but those present in the experience; a prediction is the sum of the main
    scores and ``compensation`` times the others.  With ``width: 0`` h is f, which the main stream takes as it is.

    Targets depend on W_M at the time, so that this learner, unlike its relatives, depends on order and batches.
    ``residual: experience`` is the paper: W_M after the whole experience, exact from sums, which take two more
    ``d x d`` while it is learned, and which predictions within it do without.  ``residual: batch`` is the released
    code: W_M after each batch, of ``training.batch_size``, online a micro-batch.  The released code cleanses the
    labels by position, which cleanses nothing in an experience without new classes.

    The paper's d is ACIL's, ``compensation`` 0.6 on CIFAR-100 and 1.5 on ImageNet.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    gram: Tensor
    cross: Tensor
    counts: Tensor
    gram_compensation: Tensor
    cross_compensation: Tensor

    def __init__(
        self,
        *,
        backbone: BackboneOption = "identity",
        width: WidthOption = 1000,
        projection: ProjectionOption = None,
        gamma: GammaOption = 0.1,
        gamma_compensation: GammaOption = 0.1,
        compensation: Annotated[
            float, Field(ge=0, allow_inf_nan=False, description="weight of the compensation stream's scores")
        ] = 0.6,
        residual: Annotated[
            Literal["experience", "batch"],
            Field(description="what is left over after the experience (the paper), or after each batch (its code)"),
        ] = "experience",
    ) -> None:
        super().__init__(backbone, width, projection)
        self.gamma, self.gamma_compensation, self.compensation = gamma, gamma_compensation, compensation
        self.residual = residual
        self._solved: tuple[Tensor, Tensor] | None = None

    def begin(self, task: Task) -> None:
        """Rebuild backbone and buffer; make room for the new classes in both streams."""
        super().begin(task)
        if task.index == 0:
            for suffix in ("", "_compensation"):
                empty = Sums.empty(self.size, device=task.device)
                self.hold(f"gram{suffix}", empty.gram, kind="statistics")
                self.hold(f"cross{suffix}", empty.cross, kind="statistics")
            self.hold("counts", empty.counts, kind="statistics")
        sums = self.main
        sums.grow(task.seen_classes)
        self.cross, self.counts = sums.cross, sums.counts
        more = self.cross_compensation.new_zeros(task.seen_classes - len(self.cross_compensation), self.size)
        self.cross_compensation = torch.cat([self.cross_compensation, more])
        self._solved = None

    @property
    def main(self) -> Sums:
        """The main stream's sums."""
        return Sums(self.gram, self.cross, self.counts)

    def streams(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of both streams, float64 ``[B, d]`` each."""
        features = self.backbone_features(x)
        projected = features @ self.projection if self.projects else features
        return projected.relu() if self.projects else features, projected.tanh()

    def learn(self, task: Task, samples: Samples) -> None:
        """Add the samples to the main stream, and to what the residual is worked out of."""
        self.charge_batch(task, samples, 2 * self.size)
        if self.residual == "experience":
            own = self._own(task)
            for batch in samples.batches(CHUNK) if not task.dry else ():
                main, other = self.streams(batch.x)
                self.main.add(main, batch.y)
                own.sums.add(other, batch.y)
                own.across.addmm_(other.T, main)
        else:
            present = task.keep("present", lambda: torch.zeros_like(self.counts, dtype=torch.bool))
            present[samples.y] = True
            size = len(samples) if task.online else task.training.batch_size
            for batch in samples.batches(size) if not task.dry else ():
                self._compensate_batch(batch, present)
        self._solved = None

    def _compensate_batch(self, batch: Samples, present: Tensor) -> None:
        main, other = self.streams(batch.x)
        self.main.add(main, batch.y)
        onehot = torch.nn.functional.one_hot(batch.y, len(self.counts))
        left = (onehot - main @ self._main_weights()) * present
        add_gram(self.gram_compensation, other)
        self.cross_compensation += left.T @ other

    def end(self, task: Task) -> None:
        """Fit the compensation stream to what the main stream leaves over of the whole experience."""
        if self.residual == "batch" or task.dry:
            return
        own = self._own(task)
        if not own.sums.counts.any():
            return
        left = own.sums.cross - (own.across @ self._main_weights()).T
        self.gram_compensation += own.sums.gram
        self.cross_compensation += left * (own.sums.counts > 0)[:, None]
        self._solved = None

    def _own(self, task: Task) -> Residual:
        def make() -> Residual:
            sums = Sums.empty(self.size, task.seen_classes, device=task.device)
            return Residual(sums, torch.zeros_like(self.gram))

        return task.keep("residual", make)

    def _main_weights(self) -> Tensor:
        return self.checked(self.main.weights(self.gamma), self.gamma)

    def predict(self, x: Tensor) -> Tensor:
        """Return the scores of both streams together, ``[B, classes]``."""
        if self._solved is None:
            other = Sums(self.gram_compensation, self.cross_compensation, self.counts)
            found = other.weights(self.gamma_compensation)
            self._solved = self._main_weights(), self.checked(found, self.gamma_compensation)
        main, other_features = self.streams(x)
        return main @ self._solved[0] + self.compensation * (other_features @ self._solved[1])
