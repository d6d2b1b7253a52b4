"""Exemplar memory: raw samples kept for rehearsal, within a number of slots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.memory.held import Held
from cl_engine.memory.selection import herding, shares

Selection = Literal["random", "reservoir", "herding"]


class ExemplarMemory(Held):
    """Samples (kind ``exemplars``), their int32 labels (``labels``) and how many were seen (``statistics``).

    Selections:
        ``random``: a uniform sample of each class, classes in even shares.
        ``herding``: greedy herding of each class (iCaRL), classes in even shares.
        ``reservoir``: a uniform sample of everything delivered (Vitter's algorithm R), classes as they come.

    A class that returns in a later experience competes anew: uniformly over all its samples so far (``random``),
    or among its exemplars and its new samples (``herding``).
    """

    x: Tensor
    y: Tensor
    seen: Tensor

    def __init__(self, selection: Selection, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.selection = selection
        dtype = torch.uint8 if len(shape) == 3 else torch.float32
        self.hold("x", torch.empty(0, *shape, dtype=dtype), kind="exemplars")
        self.hold("y", torch.empty(0, dtype=torch.int32), kind="labels")
        # Samples seen: of everything (reservoir), of each class (random); herding needs no count.
        self.hold("seen", torch.zeros(1 if selection == "reservoir" else 0, dtype=torch.int64))

    def grow(self, classes: int) -> None:
        """Make room for the counts of ``classes`` classes."""
        if self.selection == "random":
            counts = torch.zeros(classes, dtype=torch.int64, device=self.seen.device)
            counts[: len(self.seen)] = self.seen
            self.seen = counts

    def samples(self) -> Samples:
        """Return the exemplars."""
        return Samples(self.x, self.y.long())

    def __len__(self) -> int:
        """Return the number of exemplars."""
        return len(self.y)

    def update(
        self,
        new: Samples,
        slots: int,
        per_class: int | None,
        generator: torch.Generator,
        features: Callable[[Tensor], Tensor],
    ) -> None:
        """Let ``new`` samples compete for ``slots`` places, at most ``per_class`` of them for any class.

        Args:
            new: samples delivered since the last update.
            slots: exemplars to hold at most.
            per_class: exemplars of one class at most, or None.
            generator: a CPU generator.
            features: maps samples ``[N, ...]`` to features ``[N, D]``; used by herding only.
        """
        if self.selection == "reservoir":
            self._reservoir(new, slots, generator)
        else:
            self._by_class(new, slots, per_class, generator, features)

    def _by_class(
        self,
        new: Samples,
        slots: int,
        per_class: int | None,
        generator: torch.Generator,
        features: Callable[[Tensor], Tensor],
    ) -> None:
        held = self.samples()
        classes = sorted({*held.y.tolist(), *new.y.tolist()})
        old_of = [torch.nonzero(held.y == c).flatten() for c in classes]
        new_of = [torch.nonzero(new.y == c).flatten() for c in classes]
        limit = slots if per_class is None else per_class
        quota = shares([min(len(o) + len(n), limit) for o, n in zip(old_of, new_of, strict=True)], slots)
        kept = []
        for c, old, fresh, count in zip(classes, old_of, new_of, quota, strict=True):
            candidates = held[old] + new[fresh]
            if not len(fresh):
                order = torch.arange(count)  # exemplars are stored in order of preference
            elif self.selection == "herding":
                order = herding(features(candidates.x), count)
            else:
                order = self._uniform(int(self.seen[c]), len(old), len(fresh), count, generator)
                self.seen[c] += len(fresh)
            kept.append(candidates[order.to(candidates.y.device)])
        if kept:
            self.x, self.y = torch.cat([k.x for k in kept]), torch.cat([k.y for k in kept]).int()

    @staticmethod
    def _uniform(seen: int, held: int, fresh: int, count: int, generator: torch.Generator) -> Tensor:
        """Draw ``count`` of ``seen + fresh`` samples uniformly, of which only ``held`` of the seen ones exist.

        The held ones are themselves a uniform sample, so it is enough to draw how many of each there are.
        """
        drawn = torch.randperm(seen + fresh, generator=generator)[:count]
        from_fresh = min(max(int((drawn >= seen).sum()), count - held), fresh)
        old = torch.randperm(held, generator=generator)[: count - from_fresh]
        young = held + torch.randperm(fresh, generator=generator)[:from_fresh]
        both = torch.cat([old, young])
        return both[torch.randperm(count, generator=generator)]

    def _reservoir(self, new: Samples, slots: int, generator: torch.Generator) -> None:
        if len(self) > slots:
            keep = torch.randperm(len(self), generator=generator)[:slots].sort().values.to(self.y.device)
            self.x, self.y = self.x[keep], self.y[keep]
        appended = min(slots - len(self), len(new))
        both = Samples(torch.cat([self.x, new.x[:appended]]), torch.cat([self.y, new.y[:appended].int()]))
        # Sample number n (from 0) replaces a uniform place of n + 1 if that place is one of the slots; of several
        # samples for one place the last stays.
        seen = int(self.seen) + torch.arange(len(new))
        place = (torch.rand(len(new), generator=generator, dtype=torch.float64) * (seen + 1)).long()
        writer = torch.full((len(both),), -1)
        late = torch.arange(appended, len(new))[place[appended:] < len(both)]
        writer.scatter_reduce_(0, place[late], late, "amax")
        target = torch.nonzero(writer >= 0).flatten().to(self.y.device)
        chosen = writer[writer >= 0].to(new.y.device)
        both.x[target], both.y[target] = new.x[chosen], new.y[chosen].int()
        self.x, self.y = both.x, both.y
        self.seen += len(new)
