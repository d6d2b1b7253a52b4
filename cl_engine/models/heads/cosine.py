"""Classifiers by cosines, with a learned scale: one row a class, or several proxies."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.models.heads.linear import UnbiasedHead
from cl_engine.models.heads.rows import check_growth, uniform


class CosineHead(UnbiasedHead):
    """A cosine classifier with a learned scale: ``scores = eta cos(W, f)``, without bias.

    LUCIR (Hou et al., CVPR 2019, equation 4); as in its code eta starts at 1.  :class:`ProxyHead` has several rows
    a class.  It grows by rows, as :class:`UnbiasedHead` does.
    """

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``[B, features]`` to scores ``[B, classes]``, in +-scale."""
        return self.scale * F.linear(F.normalize(features), F.normalize(self.weight))


class ProxyHead(nn.Module):
    """A cosine classifier with k proxies a class and a learned scale: ``scores = eta s``, without bias.

    PODNet's local similarity classifier (Douillard et al., ECCV 2020): ``s_c`` is the mean of the
    cosines of c's proxies, weighted by their own softmax, so that the nearest one counts most.  eta starts at 1.
    Proxies of classes that were there before the last :meth:`grow` stand apart, so that they can be frozen.
    With one proxy a class it is LUCIR's classifier.
    """

    ledger_kind = "head"

    def __init__(self, features: int, proxies: int = 10) -> None:
        super().__init__()
        self.old = nn.Parameter(torch.empty(0, proxies, features))
        self.new = nn.Parameter(torch.empty(0, proxies, features))
        self.scale = nn.Parameter(torch.ones(()))

    def grow(self, classes: int, generator: torch.Generator) -> None:
        """Add proxies of classes up to ``classes``, uniform in +-1/sqrt(features); what was new is old now.

        Raises:
            ValueError: fewer classes than there are.

        >>> head = ProxyHead(features=2, proxies=5)
        >>> head.grow(3, torch.Generator().manual_seed(0))
        >>> head(torch.ones(4, 2)).shape, head.weight.shape
        (torch.Size([4, 3]), torch.Size([3, 5, 2]))
        """
        old, proxies, features = self.weight.shape
        check_growth("classes", old, classes)
        rows = uniform((classes - old, proxies, features), features, generator).to(self.weight.device)
        self.old, self.new = nn.Parameter(self.weight.detach()), nn.Parameter(rows)

    @property
    def weight(self) -> Tensor:
        """All proxies, ``[classes, k, features]``."""
        return torch.cat([self.old, self.new])

    def similarities(self, features: Tensor) -> Tensor:
        """Map ``[B, features]`` to s, ``[B, classes]``, in +-1."""
        weight = self.weight
        cosines = F.linear(F.normalize(features), F.normalize(weight, dim=2).flatten(0, 1))
        cosines = cosines.view(-1, *weight.shape[:2])
        return (cosines.softmax(2) * cosines).sum(2)

    def forward(self, features: Tensor) -> Tensor:
        """Map ``[B, features]`` to scores ``[B, classes]``, in +-scale."""
        return self.scale * self.similarities(features)
