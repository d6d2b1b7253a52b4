"""A learned map from what an old model made of a sample to what a new one would make of it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cl_engine.models.backbone import initialise, materialise


class Mapped(NamedTuple):
    """Old vectors in the space of a new model.

    Attributes:
        features: ``[B, D']``.
        uncertainty: the logarithm of how far off they are expected to be, ``[B]``; None where it is not learned.
    """

    features: Tensor
    uncertainty: Tensor | None


class Transformation(nn.Module):
    """The transformation of forward-compatible training (FCT; Ramanujan et al., CVPR 2022), a perceptron.

    Old features f and side information each go through two layers, ``D -> 2 D -> 2 D'``, and both together through
    ``4 D' -> width -> width -> D'``; batch norm and ReLU follow every layer but the last.  Without side information
    f takes its path too, as in the released code.  With ``uncertain`` there is one output more, the logarithm of
    FastFill's uncertainty (Jaeckle et al., ICLR 2023).

    Args:
        old: D, the width of old features.
        new: D'.
        side: values of side information; 0: none.
        width: of the inner layers.
        uncertain: whether it has the further output.
        generator: draws the weights.

    >>> draw = torch.Generator().manual_seed(0)
    >>> sum(p.numel() for p in Transformation(128, 128, 128, 2048, False, draw).parameters())
    5712000
    """

    def __init__(
        self, old: int, new: int, side: int, width: int, uncertain: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.old, self.side, self.uncertain = old, side, uncertain
        with torch.device("meta"):  # so that no layer draws from the global generator
            self.of_features = nn.Sequential(*_layer(old, 2 * old), *_layer(2 * old, 2 * new))
            beside = side or old
            self.of_side = nn.Sequential(*_layer(beside, 2 * beside), *_layer(2 * beside, 2 * new))
            self.mixer = nn.Sequential(
                *_layer(4 * new, width), *_layer(width, width), nn.Linear(width, new + uncertain)
            )
        materialise(self)
        initialise(self, generator)

    def forward(self, vectors: Tensor) -> Mapped:
        """Map old features with side information beside them, ``[B, D + side]``."""
        features, side = vectors[:, : self.old], vectors[:, self.old :]
        both = torch.cat([self.of_features(features), self.of_side(side if self.side else features)], 1)
        found: Tensor = self.mixer(both)
        return Mapped(found[:, :-1], found[:, -1]) if self.uncertain else Mapped(found, None)


def _layer(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()
