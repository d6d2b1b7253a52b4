"""The samples that probes look at: so many of each class seen, the engine's own, which no strategy is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.plan import StreamPlan
from cl_engine.scenarios.transforms import apply, domain_of

Int64 = npt.NDArray[np.int64]


class ProbeData:
    """Training samples that were delivered and test samples of the classes exposed, ``per_class`` of each at most.

    Which ones depends on the stream alone: the same ones in every run of it, chosen at random, none of them again.
    Old classes cost the same in every experience, and nothing else of the past costs anything.

    Args:
        train: the training samples of the data.
        y: class id of each of them by its true label, int64 ``[N]``; beyond all classes where it is never exposed.
        test: test samples with class ids, and the column ``domain`` where experiences are domains of the data.
        plan: what is delivered when, and how it is transformed.
        groups: the class ids that each experience exposed first.
        per_class: the most samples of a class, of training and of test samples each.
    """

    def __init__(
        self,
        train: Samples,
        y: Int64,
        test: Samples,
        plan: StreamPlan,
        groups: Sequence[Sequence[int]],
        per_class: int,
    ) -> None:
        self._train, self._y, self._test, self._plan, self.per_class = train, y, test, plan, per_class
        self._rank = numpy_generator(0, "probe samples").permutation(max(len(plan.indices), len(y)))
        self._chosen, self._until = np.empty(0, dtype=np.int64), 0
        self._exposed = np.repeat(np.arange(len(groups)), [len(group) for group in groups])  # by class id
        self._fixed = self._fixed_rows()

    @property
    def transformed(self) -> bool:
        """Whether experiences differ in more than their classes: in transforms, or in domains of the data."""
        return self._plan.transforms is not None

    def train(self, experience: int, exposed: int) -> tuple[Tensor, Tensor]:
        """Return training samples ``[N, ...]`` delivered by now, as they were delivered, and their true classes."""
        self._choose(experience)
        positions = self._chosen[self._y[self._plan.indices[self._chosen]] < exposed]
        indices = self._plan.indices[positions]
        numbers = np.searchsorted(self._plan.offsets, positions, side="right") - 1
        x = self._under(self._train.rows(torch.from_numpy(indices)), numbers)
        return x, torch.from_numpy(self._y[indices])

    def fixed(self, exposed: int) -> tuple[Tensor, Tensor]:
        """Return test samples of each class exposed, the same ones ever after, and their classes.

        They come as they were in the experience that exposed their class; what is there stays in its order, with
        classes mixed, when more classes are exposed.
        """
        y = self._test.y[self._fixed]
        rows, y = self._fixed[y < exposed], y[y < exposed]
        return self._under(self._test.rows(rows), self._exposed[y.numpy()]), y

    def spread(self, experience: int, exposed: int) -> tuple[Tensor, Tensor]:
        """Return test samples of each class exposed under the transforms of all experiences so far, and classes."""
        transforms = self._plan.transforms
        assert transforms is not None, "without transforms experiences differ in their classes alone"
        usable = self._test.y.numpy() < exposed
        domains = [domain_of(transform) for transform in transforms[: experience + 1]]
        if seen := [domain for domain in domains if domain is not None]:
            usable &= np.isin(self._test.columns["domain"].numpy(), seen)
        rows = np.flatnonzero(usable)
        y = self._test.y.numpy()[rows]
        order, place = _by_class(y, np.arange(len(rows)))
        kept = place < self.per_class
        rows, place = rows[order[kept]], place[kept]
        return self._under(self._test.rows(torch.from_numpy(rows)), place % (experience + 1)), self._test.y[rows]

    def _choose(self, experience: int) -> None:
        """Go on choosing from what was delivered since; the least ranks of each class stay."""
        start, stop = self._plan.offsets[[self._until, experience + 1]]
        if stop <= start:
            return
        found, self._until = np.concatenate([self._chosen, np.arange(start, stop)]), experience + 1
        indices = self._plan.indices[found]
        ranks = self._rank[indices] if self._plan.transforms is None else self._rank[found]
        if self._plan.transforms is None:  # what is delivered again is no other sample
            first = np.unique(indices, return_index=True)[1]
            found, indices, ranks = found[first], indices[first], ranks[first]
        order, place = _by_class(self._y[indices], ranks)
        self._chosen = np.sort(found[order[place < self.per_class]])

    def _fixed_rows(self) -> Tensor:
        rows, y = np.arange(len(self._test)), self._test.y.numpy()
        transforms = self._plan.transforms
        if transforms is not None and domain_of(transforms[0]) is not None:
            own = np.array([domain_of(transforms[number]) for number in self._exposed])
            rows = rows[self._test.columns["domain"].numpy() == own[y]]
        order, place = _by_class(y[rows], rows)
        return torch.from_numpy(np.sort(rows[order[place < self.per_class]]))

    def _under(self, x: Tensor, numbers: Int64) -> Tensor:
        """Return samples under the transforms of experiences, one number for each."""
        transforms: Sequence[Mapping[str, Any]] | None = self._plan.transforms
        if transforms is None or not len(x) or domain_of(transforms[0]) is not None:
            return x
        made = x.clone()
        for number in np.unique(numbers):
            rows = torch.from_numpy(np.flatnonzero(numbers == number))
            made[rows] = apply(transforms[number], x[rows])
        return made


def _by_class(y: Int64, ranks: Int64) -> tuple[Int64, Int64]:
    """Return the order of class, then rank, and the place of each sample within its class."""
    order = np.lexsort((ranks, y))
    sorted_y = y[order]
    return order, np.arange(len(y)) - np.searchsorted(sorted_y, sorted_y)
