"""Linear classifiers, with and without a bias."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.models.alignment import Align, weight_alignment
from cl_engine.models.heads.rows import check_growth, new_rows, uniform


class Head(nn.Module):
    """A linear classifier: ``scores = W f + b``."""

    ledger_kind = "head"

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(0, features))
        self.bias = nn.Parameter(torch.empty(0))

    def grow(self, classes: int, generator: torch.Generator, features: int | None = None) -> None:
        """Grow to ``classes`` rows and, where given, ``features`` columns; what is there stays as it is.

        All that is new is drawn uniformly from +-1/sqrt(features), also the new columns of old classes: as in MEMO
        and DER, whose code copies the old block into a fresh head, nothing starts at 0, so the scores of old
        classes move with the new features at once.

        Raises:
            ValueError: fewer classes or features than there are.

        >>> head, generator = Head(2), torch.Generator().manual_seed(0)
        >>> head.grow(3, generator)
        >>> head.grow(5, generator, features=4)
        >>> head.weight.shape, head.bias.shape
        (torch.Size([5, 4]), torch.Size([5]))
        """
        old, width = self.weight.shape
        features = width if features is None else features
        check_growth("features", width, features)
        rows = new_rows(old, classes, features, features + 1, generator).to(self.weight.device)
        columns = uniform((old, features - width), features, generator).to(self.weight.device)
        self.weight = nn.Parameter(torch.cat([torch.cat([self.weight.detach(), columns], 1), rows[:, 1:]]))
        self.bias = nn.Parameter(torch.cat([self.bias.detach(), rows[:, 0]]))

    @torch.no_grad()
    def align(self, old: int, align: Align = "always") -> None:
        """Align the rows from ``old`` on with the others, in place; biases stay (:func:`weight_alignment`)."""
        self.weight.copy_(weight_alignment(self.weight, old, align))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``[B, features]`` to scores ``[B, classes]``."""
        return F.linear(features, self.weight, self.bias)


class UnbiasedHead(nn.Module):
    """A linear classifier without bias: ``scores = W f``."""

    ledger_kind = "head"

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(0, features))

    def grow(self, classes: int, generator: torch.Generator) -> None:
        """Add rows up to ``classes``, uniform in +-1/sqrt(features); old rows stay as they are.

        Raises:
            ValueError: fewer classes than there are.

        >>> head = UnbiasedHead(2)
        >>> head.grow(3, torch.Generator().manual_seed(0))
        >>> head(torch.ones(4, 2)).shape
        torch.Size([4, 3])
        """
        old, features = self.weight.shape
        rows = new_rows(old, classes, features, features, generator).to(self.weight.device)
        self.weight = nn.Parameter(torch.cat([self.weight.detach(), rows]))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``[B, features]`` to scores ``[B, classes]``."""
        return F.linear(features, self.weight)
