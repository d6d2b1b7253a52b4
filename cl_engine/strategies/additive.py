"""Strategies whose state is a sum over samples: samples can be taken away again, and what others saw be added."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.errors import InputError
from cl_engine.strategies.on_features import CHUNK, OnFeatures

OFF_CPU = "off the CPU products are of single precision, and a rest would be left; allowed: the CPU"


class Additive(OnFeatures):
    """A strategy over sums, float64 or of the type that they are held in.

    Taking samples away leaves what it would hold had it never seen them, up to rounding: about 1e-16 of the sums
    that were there before.  Adding another one's state leaves what one that saw all would hold.

    Attributes:
        by_class: names of held tensors with a row for each class, sums over its samples; ``counts`` among them.
        over_all: names of held tensors that are sums over all samples.
    """

    by_class: ClassVar[tuple[str, ...]] = ("cross", "counts")
    over_all: ClassVar[tuple[str, ...]] = ("gram",)
    counts: Tensor
    _solved: Any = None

    def cannot_unlearn(self) -> str | None:
        """Say why no sample can be taken away exactly, and what is allowed; None where one can."""
        return self.cannot_merge()

    def cannot_merge(self) -> str | None:
        """Say why no state can be added exactly, and what is allowed; None where one can."""
        return None

    def unlearn(self, samples: Samples) -> None:
        """Take samples away that were learned; a class of which none is left keeps its column until ``renumber``.

        Args:
            samples: as they were delivered, with class ids.

        Raises:
            InputError: this strategy cannot, or there are not so many samples of a class; nothing is changed.
        """
        off_cpu = self.counts.device.type != "cpu"
        self._able(OFF_CPU if off_cpu else self.cannot_unlearn(), "unlearn")
        taken = torch.bincount(samples.y, minlength=len(self.counts))
        if len(taken) > len(self.counts) or bool((taken > self.counts).any()):
            raise InputError(
                "more samples of a class are taken away than were learned; allowed: samples that were learned"
            )
        self.take_away(samples)
        gone = self.counts == 0
        for name in self.by_class:
            rows = getattr(self, name)
            if len(rows) == len(gone):
                rows[gone] = 0  # exactly, where rounding left a rest
        self._solved = None

    def take_away(self, samples: Samples) -> None:
        """Subtract samples that are known to have been learned."""
        for batch in samples.batches(CHUNK):
            self.subtract(self.features(batch.x), batch.y)

    def subtract(self, phi: Tensor, y: Tensor) -> None:
        """Subtract features ``[B, d]`` of classes ``[B]``."""
        raise NotImplementedError

    def merge(self, other: Additive) -> None:
        """Add what another one learned from other samples; its class ids mean the same.

        Args:
            other: of the same class and options, with the same frozen parts.

        Raises:
            InputError: one of both cannot, or they differ in another part than their sums; nothing is changed.
        """
        self._able(self.cannot_merge(), "be merged")
        self._able(other.cannot_merge(), "be merged")
        if type(other) is not type(self) or len(other.counts) != len(self.counts):
            what = f"{type(other).__name__} of {len(other.counts)} classes beside {type(self).__name__} of"
            raise InputError(f"{what} {len(self.counts)}; allowed: the same strategy and classes")
        mine, theirs = self.fixed(), other.fixed()
        differs = [name for name in mine if name not in theirs or not torch.equal(mine[name], theirs[name])]
        if differs or len(mine) != len(theirs):
            raise InputError(
                f"they differ in {', '.join(differs) or 'their parts'}; allowed: the same backbone and projection"
            )
        self.add_state(other)
        self._solved = None

    def add_state(self, other: Any) -> None:
        """Add the sums of another one that fits."""
        for name in (*self.by_class, *self.over_all):
            getattr(self, name).add_(getattr(other, name))

    def renumber(self, classes: Tensor) -> None:
        """Give the classes other ids: new class i is what class ``classes[i]`` was; -1: one without samples.

        Args:
            classes: int64 ``[C']``; a class that is not named has to be without samples.

        Raises:
            InputError: a class with samples would be lost, or stand twice; nothing is changed.
        """
        wanted = torch.bincount(classes[classes >= 0], minlength=len(self.counts))
        if len(wanted) > len(self.counts) or bool((wanted > 1).any() or ((wanted == 0) & (self.counts > 0)).any()):
            raise InputError("not every class with samples has one new id; allowed: each class once")
        for name in self.by_class:
            rows = getattr(self, name)
            if len(rows) == len(wanted):
                setattr(self, name, renumbered(rows, classes))
        self._solved = None

    def readout(self) -> Tensor:
        """Return what predictions are made with, a matrix with a column (or row) for each class."""
        raise NotImplementedError

    def _able(self, why: str | None, what: str) -> None:
        if why is not None:
            raise InputError(f"{type(self).__name__} cannot {what} exactly: {why}")

    def fixed(self) -> dict[str, Tensor]:
        """Return every tensor, held or rebuilt, that does not change with samples."""
        sums = {*self.by_class, *self.over_all}
        every = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        return {name: tensor for name, tensor in every.items() if name not in sums}


def renumbered(rows: Tensor, classes: Tensor) -> Tensor:
    """Return rows ``[C, ...]`` in a new order ``[C']``; -1 gives zeros.

    >>> renumbered(torch.tensor([5, 7]), torch.tensor([1, -1]))
    tensor([7, 0])
    """
    made = rows.new_zeros(len(classes), *rows.shape[1:])
    made[classes >= 0] = rows[classes[classes >= 0]]
    return made
