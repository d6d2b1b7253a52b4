"""A network whose classifier is the fixed d-simplex, and the teacher that it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.normalisation import Normalisation
from cl_engine.kinds.problems import OptionError
from cl_engine.models.heads import SimplexHead
from cl_engine.models.network import Network
from cl_engine.models.teacher import frozen_copy
from cl_engine.terms.task import Task

ReservedOption = Annotated[
    int,
    Field(
        ge=2,
        le=65536,
        description="classes that the simplex has a vertex for, now or ever; a feature has one value less",
    ),
]
VerticesOption = Annotated[
    Literal["first", "last"],
    Field(description="the end of the simplex from which classes take vertices; another model takes the other end"),
]


class StationaryNetwork(Network):
    """Inputs, backbone, a learned projection J without bias, and the simplex: ``scores = V J f``.

    What is stored and compared is ``z = J f``.  Arguments are those of :class:`Network` and :class:`SimplexHead`.
    """

    head: SimplexHead  # type: ignore[assignment]

    def __init__(
        self,
        backbone: str | Mapping[str, Any],
        shape: tuple[int, ...],
        generator: torch.Generator,
        device: torch.device,
        normalisation: Normalisation | None = None,
        *,
        reserved: int,
        vertices: Literal["first", "last"] = "first",
    ) -> None:
        super().__init__(backbone, shape, generator, device, normalisation)
        self.head = SimplexHead(self.backbone.features, reserved, vertices == "last").to(device)

    @classmethod
    def of(
        cls, task: Task, backbone: str | Mapping[str, Any], reserved: int, vertices: Literal["first", "last"]
    ) -> StationaryNetwork:
        """Return a network as the task draws it."""
        generator = task.generator("backbone")
        made = (backbone, task.shape, generator, task.device, task.normalisation)
        return cls(*made, reserved=reserved, vertices=vertices)

    def grow(self, task: Task) -> None:
        """Let the classes seen by now be scored.

        Raises:
            OptionError: there are more of them than vertices.
        """
        if task.seen_classes > len(self.head.vertices):
            what = (
                f"{len(self.head.vertices)} vertices for {task.seen_classes} classes; allowed: one for each or more"
            )
            raise OptionError("reserved", what)
        self.head.grow(task.seen_classes, task.generator("head"))

    def embed(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to z, ``[B, reserved - 1]``."""
        return self.head.project(self.features(x))

    @torch.no_grad()
    def embedded(self, x: Tensor) -> Tensor:
        """Return z of any number of raw samples, without gradient, in batches."""
        return torch.cat([self.embed(part) for part in torch.split(x, 1024)])


def teacher_of(task: Task, network: StationaryNetwork) -> StationaryNetwork | None:
    """Return the network as it was when the experience began, for its z alone.

    None while nothing is old and no model was received.  It needs no simplex, so that it is charged without.
    """
    if not task.old_classes and task.received is None:
        return None

    def made() -> StationaryNetwork:
        copy = frozen_copy(network)
        copy.head.vertices = copy.head.vertices[:0].clone()
        return copy

    return task.keep("teacher", made)
