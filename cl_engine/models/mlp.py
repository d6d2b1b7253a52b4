"""A multilayer perceptron."""

from __future__ import annotations

import itertools
import math
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from cl_engine.models.backbone import Backbone


class MLP(Backbone):
    """A multilayer perceptron with ReLU after every layer; takes images and features alike."""

    def __init__(
        self,
        shape: tuple[int, ...],
        /,
        *,
        width: Annotated[int, Field(ge=1, description="units of each hidden layer")] = 128,
        depth: Annotated[int, Field(ge=1, description="hidden layers")] = 2,
    ) -> None:
        super().__init__()
        self.features = width
        widths = [math.prod(shape)] + [width] * depth
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, ...]`` to ``[B, width]``."""
        x = x.flatten(1)
        for layer in self.layers:
            x = layer(x).relu()
        return x
