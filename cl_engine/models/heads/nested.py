"""A classifier for each of several prefixes of the features: Matryoshka."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.models.heads.linear import UnbiasedHead


class NestedHead(UnbiasedHead):
    """A linear classifier without bias of the features, and one of their first m values, for several m.

    Matryoshka representation learning (MRL; Kusupati et al., NeurIPS 2022).  With ``efficient`` (MRL-E) there is
    one weight, and the classifier of a prefix are its first m columns; otherwise each prefix has a weight of its
    own.

    Args:
        features: D, the width of the features.
        sizes: m, each below D.
        efficient: MRL-E.
    """

    def __init__(self, features: int, sizes: Sequence[int], efficient: bool = False) -> None:
        super().__init__(features)
        self.sizes = tuple(sizes)
        self.smaller = nn.ModuleList([] if efficient else [UnbiasedHead(size) for size in sizes])

    def grow(self, classes: int, generator: torch.Generator) -> None:
        """Add rows up to ``classes`` to each, as :class:`UnbiasedHead` does, first to that of all features."""
        super().grow(classes, generator)
        for head in self.smaller:
            assert isinstance(head, UnbiasedHead)
            head.grow(classes, generator)

    def nested(self, features: Tensor) -> list[Tensor]:
        """Map ``[B, features]`` to the scores ``[B, classes]`` of each prefix, and of all values last.

        >>> head = NestedHead(8, [2, 4])
        >>> head.grow(3, torch.Generator().manual_seed(0))
        >>> [tuple(scores.shape) for scores in head.nested(torch.ones(5, 8))], len([*head.parameters()])
        ([(5, 3), (5, 3), (5, 3)], 3)
        """
        own = [head(features[:, :m]) for head, m in zip(self.smaller, self.sizes, strict=False)]
        cut = own or [F.linear(features[:, :m], self.weight[:, :m]) for m in self.sizes]
        return [*cut, self(features)]
