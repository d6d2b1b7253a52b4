"""A fixed projection in front of a closed-form classifier."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption
from cl_engine.statistics.sufficient.solving import Solution
from cl_engine.strategies.closed_form.buffer import Draw, array_of, drawn
from cl_engine.strategies.on_features import CHUNK, OnFeatures
from cl_engine.terms.task import Task


class Projected(OnFeatures):
    """A strategy on ``phi(x) = activation(f(x) A)``, A random or given, f frozen.

    A random A is regenerated from the seed and held by nobody; one from a file is held, as no seed gives it back.

    Attributes:
        size: d, the width of phi, from the first ``begin`` on.
    """

    draw: ClassVar[Draw] = "uniform"
    projection: Tensor

    def __init__(self, backbone: BackboneOption, width: int, projection: str | None) -> None:
        super().__init__(backbone)
        self.width, self.projection_file = width, projection

    def begin(self, task: Task) -> None:
        """Build the frozen backbone and the buffer."""
        super().begin(task)
        if task.index == 0:
            self.size = self.build(task)

    def build(self, task: Task) -> int:
        """Draw or read the projection; return the width of phi."""
        if self.projection_file is not None:
            given = array_of(self.projection_file, "projection", self.inputs_width, 0)
            self.hold("projection", given.to(task.device), kind="projection")
            return given.shape[1]
        if not self.width:
            return self.inputs_width
        made = drawn(self.inputs_width, self.width, self.draw, task.generator("projection"))
        self.regenerable("projection", made.to(task.device))
        return self.width

    @property
    def projects(self) -> bool:
        """Whether there is a projection; without one, ``width: 0``, phi is f."""
        return bool(self.width) or self.projection_file is not None

    def expand(self, features: Tensor) -> Tensor:
        """Map the backbone's features ``[B, D]`` to phi ``[B, d]``."""
        return self.activation(features @ self.projection) if self.projects else features

    def activation(self, projected: Tensor) -> Tensor:
        """Return what follows the projection."""
        return projected.relu()

    def features(self, x: Tensor) -> Tensor:
        """Return ``phi(x)``, float64 ``[B, d]``."""
        return self.expand(self.backbone_features(x))

    def charge_batch(self, task: Task, samples: Samples, columns: int) -> None:
        """Charge a batch of raw samples and so many float64 numbers for each of them."""
        rows = samples.rows(slice(CHUNK))
        task.charge("batch", rows.numel() * rows.element_size() + 8 * len(rows) * columns)

    def checked(self, found: Solution, asked: float) -> Tensor:
        """Return the weights ``[d, C]`` of a solution, with a note where its gamma is not the one asked for."""
        self.note_gamma(found.gamma, asked)
        return found.weights

    def note_gamma(self, gamma: float, asked: float) -> None:
        """Say once where gamma was raised."""
        text = f"the normal equations are too ill-conditioned; gamma raised to {gamma:g}"
        if gamma > asked and text not in self.notes:
            self.note(text)
