"""Exemplar memory: samples chosen for rehearsal, within slots, quotas and bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.memory.codecs.codec import Codec, Encoded
from cl_engine.memory.codecs.raw import Raw
from cl_engine.memory.exemplars.class_means import class_means
from cl_engine.memory.exemplars.encoded import Column, EncodedSamples
from cl_engine.memory.exemplars.places import Places
from cl_engine.memory.exemplars.quota import Limits
from cl_engine.memory.exemplars.selection import BY_FEATURES, first, newest_keys, uniform_keys

Selection = Literal["random", "reservoir", "ring", "herding", "nearest-mean", "class-balanced"]
COUNTING = ("random", "class-balanced", "reservoir")  # uniform: they need to know how many were delivered
Preferred = Callable[[Tensor], Tensor]  # counts [groups] -> the preferred candidates, group by group
Amount = TypeVar("Amount", int, Tensor)
PROBE = 32  # samples that are encoded for a first idea of their size


class Exemplars(EncodedSamples):
    """Encoded samples that were chosen, and how many were delivered where that matters (kind ``statistics``).

    Selections:

    - ``random``: a uniform sample of each class.
    - ``class-balanced``: the same under the name of its online form, the class-balancing reservoir CBRS
      (Chrysakis & Moens, ICML 2020): one pass, classes evened out, each a uniform sample.
    - ``ring``: the newest samples of each class.
    - ``herding``: greedy herding of each class (iCaRL).
    - ``nearest-mean``: the samples nearest to the class mean (MEMO's text).
    - ``reservoir``: a uniform sample of everything delivered (Vitter, 1985), classes as they come.

    All may be updated with an experience or with a few samples at a time.  Herding and nearest-mean choose anew
    among the exemplars and the new samples of the classes that came.
    """

    seen: Tensor

    def __init__(
        self,
        selection: Selection = "random",
        shape: tuple[int, ...] = (),
        codec: Codec | None = None,
        columns: Mapping[str, Column] | None = None,
    ) -> None:
        """Start empty; see :class:`EncodedSamples`.  Without a codec samples are stored as they are."""
        super().__init__(shape, codec or Raw(), columns)
        self.selection = selection
        self._places: Places | None = None
        self._settled: tuple[Limits, int] | None = None  # under which every group has the places that it gets
        # Samples delivered so far: of everything (reservoir), of each class (the other uniform ones).
        self.hold("seen", torch.zeros(1 if selection == "reservoir" else 0, dtype=torch.int64))

    def grow(self, classes: int) -> None:
        """Make room for the counts of ``classes`` classes."""
        if self.selection in ("random", "class-balanced"):
            self.seen = torch.cat([self.seen, self.seen.new_zeros(classes - len(self.seen))])
            self._places = None

    def update(
        self, new: Samples, limits: Limits, generator: torch.Generator, features: Callable[[Tensor], Tensor]
    ) -> None:
        """Let ``new`` samples compete with the exemplars for the places that ``limits`` allows.

        Args:
            new: samples delivered since the last update, in order.
            limits: how many exemplars may be held.
            generator: a CPU generator.
            features: maps samples ``[N, ...]`` to features ``[N, D]``; used by herding and nearest-mean.
        """
        if self.selection in COUNTING and 0 < len(new) <= len(self) and self._admit(new, limits, generator):
            return
        labels = torch.cat([self.y.long(), new.y]).cpu()
        pooled = self._groups(labels)
        classes, group, available = torch.unique(pooled, return_inverse=True, return_counts=True)
        preferred: Preferred
        if self.selection in COUNTING:
            keys = uniform_keys(group, len(self), self.seen.cpu()[classes], generator)
            self.seen += torch.bincount(pooled[len(self) :], minlength=len(self.seen)).to(self.seen.device)
            preferred = partial(first, group, keys)
        elif self.selection in BY_FEATURES and len(new):
            preferred = self._by_features(group, new, features)
        else:
            preferred = partial(first, group, newest_keys(len(labels), len(self)))
        chosen, encoded = self._choose(group, available, preferred, new, limits)
        self.replace(encoded, labels[chosen], self._joined_columns(new, chosen))

    def replace(self, encoded: Encoded, labels: Tensor, columns: Mapping[str, Tensor] | None = None) -> None:
        """Hold other samples instead; see :meth:`EncodedSamples.replace`."""
        super().replace(encoded, labels, columns)
        self._places = None

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._places = None

    def _admit(self, new: Samples, limits: Limits, generator: torch.Generator) -> bool:
        """Put new samples into the places of others, one by one; False where they must be chosen all anew.

        A group that refused or forgot a sample and may grow now is no longer what admitting one by one can go on
        from, and neither is a memory that must shrink.
        """
        each = self.codec.bytes_per_sample(self.shape)
        if each is None or not self.can_put(new):
            return False
        if self._places is None:
            self._places, self._settled = Places(self._groups(self.y.cpu().long()), len(self.seen)), None
        cost = self._cost(limits, new, each)
        group, seen = self._groups(new.y.cpu()).tolist(), self.seen.tolist()
        held = wanted = [len(mine) for mine in self._places.of]
        if self._settled != (limits, cost) or any(seen[g] == held[g] for g in group):
            wanted = _wanted(held, group, limits, cost)
            grows = any(want > have < before for want, have, before in zip(wanted, held, seen, strict=True))
            if grows or sum(wanted) < len(self):
                return False
            self._settled = (limits, cost) if wanted == held else None
        leaving = sum(max(have - want, 0) for want, have in zip(wanted, held, strict=True))
        draws = torch.rand(leaving + len(group), generator=generator, dtype=torch.float64).tolist()
        taken = self._places.admit(group, wanted=wanted, seen=seen, draws=iter(draws))
        if taken:
            places, numbers = torch.tensor([[*taken], [*taken.values()]])
            self.put(places, new[numbers.to(new.y.device)])
        self.seen += torch.tensor(group, device=self.seen.device).bincount(minlength=len(seen))
        return True

    def _groups(self, labels: Tensor) -> Tensor:
        return torch.zeros_like(labels) if self.selection == "reservoir" else labels

    def sample(self, count: int, generator: torch.Generator, balanced: bool = False) -> Samples:
        """Draw ``count`` exemplars with replacement, uniformly; ``balanced``: a class first, then one of its own.

        Args:
            count: how many; none are drawn from an empty memory.
            generator: a CPU generator.
            balanced: whether each class that has exemplars is as likely as any other.
        """
        if not len(self):
            return self.take(torch.zeros(0, dtype=torch.int64, device=self.y.device))
        drawn = torch.randint(len(self), (count,), generator=generator)
        if balanced:
            order = self.y.cpu().argsort(stable=True)
            lengths = torch.bincount(self.y.cpu())
            starts, present = lengths.cumsum(0) - lengths, lengths.nonzero().flatten()
            classes = present[torch.randint(len(present), (count,), generator=generator)]
            place = (torch.rand(count, generator=generator, dtype=torch.float64) * lengths[classes]).long()
            drawn = order[starts[classes] + place]
        return self.take(drawn.to(self.y.device))

    def class_means(self, features: Callable[[Tensor], Tensor], classes: int) -> Tensor:
        """Return the normalised mean of each class's exemplars, ``[classes, D]``; see :func:`class_means`.

        Args:
            features: maps samples ``[N, ...]`` to features ``[N, D]``.
            classes: rows of the result; a class without exemplars has a row of zeros.
        """
        kept = self.samples()
        return class_means(features(kept.x), kept.y, classes)

    def _by_features(self, group: Tensor, new: Samples, features: Callable[[Tensor], Tensor]) -> Preferred:
        """Herding or nearest-mean of the classes that came; the others keep their order."""
        rule, held = BY_FEATURES[self.selection], len(self)
        old = torch.nonzero(torch.isin(group[:held], group[held:])).flatten()
        described = new.through(features)
        if len(old):
            described = torch.cat([features(self.decoded(self.encoded().take(old))), described])
        rivals = torch.cat([old, torch.arange(held, len(group))])
        by_class = group[rivals].argsort(stable=True)
        rivals, described = rivals[by_class], described[by_class.to(described.device)]
        present, lengths = torch.unique_consecutive(group[rivals], return_counts=True)
        members, rows_of = (torch.split(t, lengths.tolist()) for t in (rivals, described))

        def preferred(counts: Tensor) -> Tensor:
            keys = torch.arange(len(group), dtype=torch.float64)
            keys[rivals] = torch.inf
            wanted = counts[present].tolist()
            for mine, rows, count in zip(members, rows_of, wanted, strict=True):
                keys[mine[rule(rows, count).cpu()]] = torch.arange(count, dtype=torch.float64)
            return first(group, keys, counts)

        return preferred

    def _choose(
        self, group: Tensor, available: Tensor, preferred: Preferred, new: Samples, limits: Limits
    ) -> tuple[Tensor, Encoded]:
        """Return the candidates to hold, class by class, and their bytes."""
        each = self.codec.bytes_per_sample(self.shape)
        if each is not None:
            chosen = preferred(limits.counts(available, self._cost(limits, new, each)))
            return chosen, self._candidates(chosen, new)
        most, estimate = limits.counts(available), self._cost(limits, new, self._usual_size(new))
        while True:
            counts = limits.counts(available, estimate)
            chosen = preferred(counts)
            encoded = self._candidates(chosen, new)
            fits = limits.fitting(self._cost(limits, new, encoded.sizes), group[chosen])
            fitted = torch.bincount(group[chosen[fits]], minlength=len(counts))
            if estimate <= 1 or not ((fitted == counts) & (counts < most)).any():
                return chosen[fits], encoded.take(fits)
            estimate = max(1, estimate // 2)  # a class has room for more than were looked at

    def _cost(self, limits: Limits, new: Samples, each: Amount) -> Amount:
        """Return the bytes that count for exemplars whose samples take ``each``; ``each`` itself without a room."""
        if limits.room is None:
            return each
        return each * limits.room.counts_samples + limits.room.beside(self.sizes_vary, self.column_bytes(new))

    def _usual_size(self, new: Samples) -> int:
        """Estimate the bytes of an encoded sample, rather too low, at least 1."""
        sizes = self.encoded().sizes if len(self) else self.codec.encode(new.rows(slice(PROBE))).sizes
        return max(1, int(sizes.sum()) * 3 // (4 * max(1, len(sizes))))

    def _candidates(self, index: Tensor, new: Samples) -> Encoded:
        """Return the encoded candidates at ``index``: exemplars as they are held, new samples encoded now."""
        held = len(self)
        fresh = index >= held
        arriving = new.rows((index[fresh] - held).to(new.y.device))
        both = self.encoded().take(index[~fresh]).join(self.codec.encode(arriving))
        return both.take(torch.where(fresh, int((~fresh).sum()) + fresh.cumsum(0), (~fresh).cumsum(0)) - 1)


def _wanted(held: list[int], group: list[int], limits: Limits, each: int) -> list[int]:
    """Return how many exemplars every group may have once new ones of ``group`` compete with those held."""
    available = np.array(held) + np.bincount(group, minlength=len(held))
    present, wanted = available > 0, np.zeros(len(held), dtype=np.int64)
    wanted[present] = limits.counts(torch.from_numpy(available[present]), each).numpy()
    counts: list[int] = wanted.tolist()
    return counts
