"""The sums that a closed-form classifier needs of its samples: how many, where, and how spread."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.errors import InputError
from cl_engine.statistics.sufficient.solving import Solution, solve
from cl_engine.statistics.sufficient.spectrum import Spectrum
from cl_engine.statistics.sufficient.symmetric import (
    add_gram,
    diagonal,
    pack,
    packed_length,
    product,
    unpack,
    whole,
    width_of,
)


class Sums:
    """``n`` samples of each class, ``Q``: the sum of their features, and ``G = X'X`` over all; they grow in place.

    Whatever order, batches or machines the samples came in, the sums are the same up to rounding, so what is solved
    from them equals the solution for all samples at once.

    Args:
        gram: G, ``[d, d]`` (its upper triangle) or packed ``[d (d + 1) / 2]``, float64 or float32.
        cross: Q, ``[C, d]``, a row a class.
        counts: n, int64 ``[C]``, samples whose label does not count among them.

    Samples whose label does not count are in G and n and not in Q; means, scatter, loss and bias want none of them.

    >>> sums = Sums.empty(2, classes=2)
    >>> sums.add(torch.eye(2), torch.tensor([0, 1]))
    >>> sums.weights(1.0).weights
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]], dtype=torch.float64)
    """

    def __init__(self, gram: Tensor, cross: Tensor, counts: Tensor) -> None:
        self.gram, self.cross, self.counts = gram, cross, counts

    @classmethod
    def empty(
        cls,
        width: int,
        classes: int = 0,
        *,
        packed: bool = False,
        dtype: torch.dtype = torch.float64,
        device: torch.device | None = None,
    ) -> Sums:
        """Return the sums over nothing, of ``width`` features."""
        shape = (packed_length(width),) if packed else (width, width)
        gram = torch.zeros(shape, dtype=dtype, device=device)
        counts = torch.zeros(classes, dtype=torch.int64, device=device)
        return cls(gram, torch.zeros(classes, width, dtype=dtype, device=device), counts)

    @property
    def width(self) -> int:
        """The number of features d."""
        return width_of(self.gram)

    def grow(self, classes: int) -> None:
        """Make room for more classes, of which there is no sample yet."""
        more = classes - len(self.counts)
        if more <= 0:
            return  # the tensors stay what they are: whoever holds them sees what is added
        self.cross = torch.cat([self.cross, self.cross.new_zeros(more, self.cross.shape[1])])
        self.counts = torch.cat([self.counts, self.counts.new_zeros(more)])

    def add(self, x: Tensor, y: Tensor, labelled: Tensor | None = None) -> None:
        """Add samples.

        Args:
            x: features ``[N, d]``.
            y: classes, int64 ``[N]``.
            labelled: bool ``[N]``: samples whose label counts; the features of the others enter G alone.

        Raises:
            InputError: a class that there is no room for; nothing is changed.
        """
        if len(y) and int(y.max()) >= len(self.counts):
            raise InputError(
                f"class {int(y.max())} where there is room for {len(self.counts)}; allowed: grow(classes) before"
            )
        self._move(x, y, 1, labelled)

    def subtract(self, x: Tensor, y: Tensor) -> None:
        """Take away samples that were added.

        Raises:
            InputError: there are not so many samples of a class; nothing is changed.
        """
        taken = torch.bincount(y, minlength=len(self.counts))
        if len(taken) > len(self.counts) or bool((taken > self.counts).any()):
            raise InputError(
                "more samples of a class are taken away than were added; allowed: samples added before"
            )
        self._move(x, y, -1, None)

    def merge(self, other: Sums) -> None:
        """Add the sums over other samples, whose class ids mean the same.

        Raises:
            InputError: they are of another width.
        """
        self._combine(other, 1)

    def remove(self, other: Sums) -> None:
        """Take away the sums over samples that were added.

        Raises:
            InputError: they are of another width, or of more samples of a class than these.
        """
        fewer = other.counts > self.counts[: len(other.counts)] if len(other.counts) <= len(self.counts) else None
        if fewer is None or bool(fewer.any()):
            raise InputError(
                "more samples of a class are taken away than were added; allowed: samples added before"
            )
        self._combine(other, -1)

    def weights(self, gamma: float, *, bias: bool = False) -> Solution:
        """Return the ridge weights; with ``bias`` an intercept that is not penalised, from the sums alone.

        Raises:
            FloatingPointError: no gamma helps.
        """
        target = self.cross.T
        if not bias:
            return solve(self.gram, target, gamma)
        total, samples = self.cross.double().sum(0), self.counts.double()
        number = samples.sum().clamp(min=1)
        centred = self.gram.double().clone()
        add_gram(centred, (total / number.sqrt())[None], -1)
        weights, used, _ = solve(centred, target.double() - total[:, None] * samples / number, gamma)
        return Solution(weights, used, (samples - total @ weights) / number)

    def spectrum(self) -> Spectrum:
        """Return what gives the weights for any number of penalties."""
        return Spectrum(self.gram, self.cross.T)

    def means(self) -> Tensor:
        """Return the mean of each class, float64 ``[C, d]``; zero where there is no sample."""
        return self.cross.double() / self.counts.clamp(min=1)[:, None]

    def scatter(self) -> Tensor:
        """Return the pooled scatter within classes, ``sum (x - mean)(x - mean)'``, float64 ``[d, d]``."""
        return whole(self.gram.double()) - self.means().T @ self.cross.double()

    def loss(self, weights: Tensor) -> Tensor:
        """Return ``||Y - XW||^2`` of weights ``[d, C]`` over all samples, a scalar; none of them is needed."""
        quadratic = (weights * product(self.gram.double(), weights)).sum()
        return self.counts.sum() - 2 * (weights * self.cross.T).sum() + quadratic

    def trace(self) -> float:
        """Return the trace of G; over N d it is the scale that gamma is to be read against."""
        return float(diagonal(self.gram).sum())

    def _move(self, x: Tensor, y: Tensor, sign: int, labelled: Tensor | None) -> None:
        x = x.to(self.cross.dtype)
        add_gram(self.gram, x, sign)
        rows = x if labelled is None else x * labelled[:, None]
        self.cross.index_add_(0, y, rows, alpha=sign)
        self.counts.add_(torch.bincount(y, minlength=len(self.counts)), alpha=sign)

    def _combine(self, other: Sums, sign: int) -> None:
        if other.width != self.width:
            raise InputError(f"sums over {other.width} features beside {self.width}; allowed: the same features")
        self.grow(max(len(self.counts), len(other.counts)))
        theirs = other.gram
        if theirs.ndim != self.gram.ndim:
            theirs = pack(theirs) if theirs.ndim == 2 else unpack(theirs)
        self.gram.add_(theirs, alpha=sign)
        self.cross[: len(other.cross)].add_(other.cross, alpha=sign)
        self.counts[: len(other.counts)].add_(other.counts, alpha=sign)
