"""A multilayer perceptron."""

from __future__ import annotations

import itertools
import math
from typing import Annotated

from pydantic import Field
from torch import nn

from cl_engine.models.backbone import Backbone


class MLP(Backbone):
    """A multilayer perceptron with ReLU after every layer; takes images and features alike.

    Every hidden layer is a stage.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        /,
        *,
        width: Annotated[int, Field(ge=1, le=10**6, description="units of each hidden layer")] = 128,
        depth: Annotated[int, Field(ge=1, le=1000, description="hidden layers")] = 2,
    ) -> None:
        super().__init__()
        self.features = width
        widths = [math.prod(shape)] + [width] * depth
        # Flatten leaves the vectors of later layers as they are.
        self.stages = nn.Sequential(
            *(nn.Sequential(nn.Flatten(), nn.Linear(a, b), nn.ReLU()) for a, b in itertools.pairwise(widths))
        )
