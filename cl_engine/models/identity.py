"""No backbone at all."""

from __future__ import annotations

import math

from torch import Tensor

from cl_engine.models.backbone import Backbone


class Identity(Backbone):
    """The sample itself, flattened: no parameters; for features that come from elsewhere, or as a baseline."""

    def __init__(self, shape: tuple[int, ...], /) -> None:
        super().__init__()
        self.features = math.prod(shape)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, ...]`` to ``[B, features]``."""
        return x.flatten(1)
