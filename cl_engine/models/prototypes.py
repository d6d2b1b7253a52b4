"""An encoder with one learned vector for each class in the space of its features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.data.normalisation import Normalisation
from cl_engine.models.backbone import build_backbone, initialise, materialise
from cl_engine.models.extraction import features_of


class Prototypes(nn.Module):
    """Inputs, encoder f, and prototypes ``rows`` ``[C, D]``, in the ledger of kind ``prototypes``.

    Args:
        backbone: names the encoder.
        shape: shape of one sample.
        generator: draws the encoder's weights.
        device: where all of it lives.
        normalisation: mean and deviation per channel of images, as of a task; None scales to [-1, 1].

    Attributes:
        width: D, features of the encoder.
    """

    ledger_kind = "prototypes"  # of `rows` alone: the encoder is a module of its own

    def __init__(
        self,
        backbone: str | Mapping[str, Any],
        shape: tuple[int, ...],
        generator: torch.Generator,
        device: torch.device,
        normalisation: Normalisation | None = None,
    ) -> None:
        super().__init__()
        self.encoder = build_backbone(backbone, shape, generator).to(device)
        self.inputs = self.encoder.inputs(normalisation).to(device)
        self.width = self.encoder.features
        self.rows = nn.Parameter(torch.empty(0, self.width, device=device))

    def grow(self, classes: int, generator: torch.Generator) -> None:
        """Add rows up to ``classes``, uniform in +-1/sqrt(D); old rows stay as they are.

        Raises:
            ValueError: fewer classes than there are.

        >>> generator = torch.Generator().manual_seed(0)
        >>> model = Prototypes("mlp", (4,), generator, torch.device("cpu"))
        >>> model.grow(3, generator)
        >>> model(torch.ones(5, 4)).shape
        torch.Size([5, 3])
        """
        if classes < len(self.rows):
            raise ValueError(f"{len(self.rows)} prototypes cannot become {classes}; allowed: as many or more")
        bound = self.width**-0.5
        new = torch.empty(classes - len(self.rows), self.width).uniform_(-bound, bound, generator=generator)
        self.rows = nn.Parameter(torch.cat([self.rows.detach(), new.to(self.rows.device)]))

    def features(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to features ``[B, D]``."""
        if not (torch.is_grad_enabled() or self.encoder.training):
            return features_of(self.encoder, self.inputs, x)
        features: Tensor = self.encoder(self.inputs(x))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to the cosines of their features and the prototypes, ``[B, C]``."""
        return F.linear(F.normalize(self.features(x)), F.normalize(self.rows))


def projection_head(features: int, width: int, generator: torch.Generator) -> nn.Sequential:
    """Return the head that contrast works on: three linear layers with ReLU between, ``features`` to ``width``.

    As in PRD's released code the hidden layers are as wide as the features, and there is no normalisation in it.

    >>> projection_head(512, 128, torch.Generator().manual_seed(0))(torch.ones(2, 512)).shape
    torch.Size([2, 128])
    """
    with torch.device("meta"):  # so that no layer draws from the global generator
        head = nn.Sequential(
            nn.Linear(features, features),
            nn.ReLU(),
            nn.Linear(features, features),
            nn.ReLU(),
            nn.Linear(features, width),
        )
    materialise(head)
    initialise(head, generator)
    return head
