"""Classifiers over the classes seen so far; in the ledger they are of kind ``head``.

Each has ``grow``, which makes room for new classes, and maps features ``[B, D]`` to scores ``[B, classes]``.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.models.alignment import Align, weight_alignment
from cl_engine.models.simplex import simplex


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
        _no_shrinking("features", width, features)
        rows = _new_rows(old, classes, features, features + 1, generator).to(self.weight.device)
        columns = _uniform((old, features - width), features, generator).to(self.weight.device)
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
        rows = _new_rows(old, classes, features, features, generator).to(self.weight.device)
        self.weight = nn.Parameter(torch.cat([self.weight.detach(), rows]))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``[B, features]`` to scores ``[B, classes]``."""
        return F.linear(features, self.weight)


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
        _no_shrinking("classes", old, classes)
        rows = _uniform((classes - old, proxies, features), features, generator).to(self.weight.device)
        self.old, self.new = nn.Parameter(self.weight.detach()), nn.Parameter(rows)

    @property
    def weight(self) -> Tensor:
        """All proxies, ``[classes, k, features]``."""
        return torch.cat([self.old, self.new])

    def forward(self, features: Tensor) -> Tensor:
        """Map ``[B, features]`` to scores ``[B, classes]``, in +-scale."""
        weight = self.weight
        cosines = F.linear(F.normalize(features), F.normalize(weight, dim=2).flatten(0, 1))
        cosines = cosines.view(-1, *weight.shape[:2])
        scores: Tensor = self.scale * (cosines.softmax(2) * cosines).sum(2)
        return scores


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
        _no_shrinking("classes", self.classes, classes)
        if classes > len(self.vertices):
            raise ValueError(f"{classes} classes; allowed: as many as are reserved, {len(self.vertices)}")
        if self.weight is not None and not self.classes:
            with torch.no_grad():
                self.weight.copy_(_uniform(tuple(self.weight.shape), self.weight.shape[1], generator))
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


def _new_rows(old: int, classes: int, features: int, columns: int, generator: torch.Generator) -> Tensor:
    _no_shrinking("classes", old, classes)
    return _uniform((classes - old, columns), features, generator)


def _uniform(shape: tuple[int, ...], features: int, generator: torch.Generator) -> Tensor:
    bound = 1 / math.sqrt(features)
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def _no_shrinking(what: str, present: int, wanted: int) -> None:
    if wanted < present:
        raise ValueError(f"a head with {present} {what} cannot have {wanted}; allowed: {present} or more")
