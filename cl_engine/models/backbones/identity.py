"""No backbone at all."""

from __future__ import annotations

import math

from torch import nn

from cl_engine.models.backbone import Backbone


class Identity(Backbone):
    """The sample itself, flattened: no parameters; for features that come from elsewhere, or as a baseline.

    A single stage.
    """

    def __init__(self, shape: tuple[int, ...], /) -> None:
        super().__init__()
        self.features = math.prod(shape)
        self.stages = nn.Sequential(nn.Flatten())
