"""How many exemplars of each class: even shares of slots and bytes, or the papers' floor(K / classes)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from cl_engine.memory.budget import Room
from cl_engine.memory.exemplars.selection import ranks

Quota = Literal["even", "papers"]


@dataclass(frozen=True)
class Limits:
    """How many exemplars may be held; every limit that is given holds.

    Attributes:
        total: exemplars in all.
        per_class: exemplars of one class.
        room: bytes for all exemplars.
        quota: ``even``: classes get even shares, and what a class does not need goes to the others; ``papers``:
            each class gets ``floor(K / classes)`` and the rest is wasted (iCaRL, MEMO, PyCIL), of bytes likewise
            where sizes vary.
        classes: classes seen so far; read by ``papers`` only.
    """

    total: int | None = None
    per_class: int | None = None
    room: Room | None = None
    quota: Quota = "even"
    classes: int = 1

    def counts(self, available: Tensor, each: int | None = None) -> Tensor:
        """Return how many exemplars every class may have, int64 ``[classes present]``.

        Args:
            available: int64, candidates of each class present.
            each: bytes of one exemplar with all that is counted for it; None or 0 leaves bytes out of account.
        """
        slots = self.total
        if each and self.room is not None:
            fitting = self.room.bytes // each
            slots = fitting if slots is None else min(slots, fitting)
        most = available if self.per_class is None else available.clamp(max=self.per_class)
        if slots is None:
            return most
        return most.clamp(max=slots // self.classes) if self.quota == "papers" else shares(most, slots)

    def fitting(self, cost: Tensor, group: Tensor) -> Tensor:
        """Return which candidates fit into the room, bool ``[N]``.

        A class is filled in order until its next candidate does not fit: no candidate is passed over for a smaller
        one, which would prefer images that compress well.

        Args:
            cost: int64 ``[N]``, bytes of each candidate with all that is counted for it.
            group: int64 ``[N]``, its class, sorted; each class in order of preference.
        """
        if self.room is None:
            return torch.ones(len(cost), dtype=torch.bool)
        if self.quota == "even":
            return _in_turns(cost, group, self.room.bytes)
        sums = torch.cat([cost.new_zeros(1), cost.cumsum(0)])
        before = sums[torch.arange(len(cost)) - ranks(group)]
        return sums[1:] - before <= self.room.bytes // self.classes


def shares(available: Tensor, total: int) -> Tensor:
    """Split ``total`` slots over classes as evenly as their samples allow; no slot is wasted.

    A class with fewer samples than its share leaves the rest to the others; what does not divide goes to the
    earliest classes, so that a class does not gain and lose a slot as its samples come in small batches.

    >>> [shares(torch.tensor(a), 10).tolist() for a in ([100, 100, 100], [2, 100, 100], [1, 2])]
    [[4, 3, 3], [2, 4, 4], [1, 2]]
    """
    have = available.numpy()
    ascending = np.sort(have)
    left = total - ascending.cumsum() + ascending  # once the classes with fewer have all they need
    levels = left // np.arange(len(have), 0, -1)  # to which the others can then be filled
    unmet = np.flatnonzero(ascending > levels)
    if not len(unmet):
        return available.clone()
    level = int(levels[unmet[0]])
    result = np.minimum(have, level)
    more = np.flatnonzero(have > level)
    result[more[: total - int(result.sum())]] += 1
    return torch.from_numpy(result)


def _in_turns(cost: Tensor, group: Tensor, free: int) -> Tensor:
    """Let the classes take turns, each with its next candidate, until none of them has one that fits."""
    turns = ranks(group).argsort(stable=True)
    spent = cost[turns].cumsum(0)
    certain = int((spent <= free).sum())  # before anything is refused
    kept = torch.zeros(len(cost), dtype=torch.bool)
    kept[turns[:certain]] = True
    free -= int(spent[certain - 1]) if certain else 0
    later = turns[certain:]
    full: set[int] = set()
    for index, bytes_, g in zip(later.tolist(), cost[later].tolist(), group[later].tolist(), strict=True):
        if g in full:
            continue
        if bytes_ > free:
            full.add(g)
        else:
            kept[index] = True
            free -= bytes_
    return kept
