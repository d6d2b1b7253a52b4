"""A classifier that never moves: the vertices of the d-simplex."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.models.heads.rows import check_growth, uniform
from cl_engine.models.simplex import simplex


class SimplexHead(nn.Module):
    """A classifier that never moves: class c has the direction of vertex c of the d-simplex, ``scores = V z``.

    CoReS, CL2R and IAM-CL2R (Biondi et al., 2023 and 2024): directions for ``reserved`` classes are there from the
    start, so that a class keeps its own whatever comes.  ``z = J f`` where the features are not ``reserved - 1``
    wide, with a learned J without bias; otherwise ``z = f`` and nothing is learned here.  z is not normalised and
    there is no scale.  The vertices follow from their number: the ledger lists them with 0 bytes.

    With ``from_end`` class c has vertex ``reserved - 1 - c`` instead, as IAM-CL2R's clients have: whoever trains on
    other classes takes vertices from the other end, and the two never meet while all of them fit.

    Their softmax is over all reserved classes: :meth:`reserved_scores` is what to minimise a cross-entropy of.

    Raises:
        ValueError: fewer than 2 reserved classes.
    """

    ledger_kind = "head"
    _held_kinds: ClassVar[dict[str, str]] = {"vertices": "regenerable"}  # as the ledger reads it off any module
    vertices: Tensor

    def __init__(self, features: int, reserved: int, from_end: bool = False) -> None:
        super().__init__()
        self.classes = 0
        vertices = simplex(reserved)
        self.register_buffer("vertices", vertices.flip(0) if from_end else vertices, persistent=False)
        same = features == reserved - 1
        self.weight = None if same else nn.Parameter(torch.zeros(reserved - 1, features))

    def grow(self, classes: int, generator: torch.Generator) -> None:
        """Let ``forward`` score so many classes; the first time, draw J uniformly from +-1/sqrt(features).

        Raises:
            ValueError: fewer classes than there are, or more than are reserved.

        >>> head = SimplexHead(features=64, reserved=100)
        >>> head.grow(10, torch.Generator().manual_seed(0))
        >>> features = torch.ones(4, 64)
        >>> head(features).shape, head.reserved_scores(features).shape
        (torch.Size([4, 10]), torch.Size([4, 100]))
        """
        check_growth("classes", self.classes, classes)
        if classes > len(self.vertices):
            raise ValueError(f"{classes} classes; allowed: as many as are reserved, {len(self.vertices)}")
        if self.weight is not None and not self.classes:
            with torch.no_grad():
                self.weight.copy_(uniform(tuple(self.weight.shape), self.weight.shape[1], generator))
        self.classes = classes

    def project(self, features: Tensor) -> Tensor:
        """Map ``[B, features]`` to z ``[B, reserved - 1]``, the stationary representation that is stored."""
        return features if self.weight is None else F.linear(features, self.weight)

    def reserved_scores(self, features: Tensor) -> Tensor:
        """Map ``[B, features]`` to the scores of all reserved classes, ``[B, reserved]``."""
        return F.linear(self.project(features), self.vertices)

    def forward(self, features: Tensor) -> Tensor:
        """Map ``[B, features]`` to scores ``[B, classes]``."""
        return self.reserved_scores(features)[:, : self.classes]
