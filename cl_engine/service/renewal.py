"""The renewal of a gallery: which images are embedded anew when, and when the new model serves."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.service.arrivals import Times
from cl_engine.service.looks import Work
from cl_engine.service.policy import Order, Policy


class Renewal:
    """What a worker has done by a time, and what follows; nothing of it depends on a score.

    Args:
        policy: any but ``keep`` and ``lazy``.
        queue: rows of the gallery that are there when the new model comes, in the order of their renewal.
        arrivals: when each image of the gallery comes, float64 ``[N]``.
        start: when the new model comes.

    Attributes:
        limit: how many of the queue are embedded anew.
        mapped_at: when all others are mapped; infinity: never.
        switch: when queries go to the new model; infinity: never.
    """

    def __init__(self, policy: Policy, queue: Tensor, arrivals: Times, start: float) -> None:
        self.policy, self.queue, self.start = policy, queue, start
        self.limit = min(policy.pairs, len(queue)) if policy.kind == "transform" else len(queue)
        self.later = np.sort(arrivals[(arrivals > start) & np.isfinite(arrivals)])
        self.mapped_at = math.inf
        if policy.map is not None:
            pairs = min(policy.pairs, self.limit)
            done = [time for time in self._batches() if self.done(time) >= pairs]
            self.mapped_at = done[0] if done else math.inf
        self.switch = self._switch()

    @property
    def finish(self) -> float:
        """When the worker is done."""
        return self.start + self.policy.span(self.limit)

    def done(self, time: float) -> int:
        """Return how many of the queue are embedded anew by a time; whole batches."""
        if time >= self.finish:
            return self.limit
        images = math.floor((time - self.start) * self.policy.worker * (1 + 1e-12))
        return images // self.policy.batch * self.policy.batch

    def came(self, time: float) -> int:
        """Return how many images have come since the new model, by a time."""
        return int(np.searchsorted(self.later, time, side="right"))

    def renewed(self, time: float) -> int:
        """Return how many vectors are in the new space: of images that came, embedded anew, or mapped."""
        return self.came(time) + (len(self.queue) if time >= self.mapped_at else self.done(time))

    def share(self, time: float) -> float:
        """Return the share of vectors in the new space."""
        return self.renewed(time) / (len(self.queue) + self.came(time))

    def work(self, time: float) -> Work:
        """Return what was done by a time."""
        return Work(
            re_embedded=self.done(time),
            inserted=self.came(time),
            twice=self.came(min(self.switch, time)),
            mapped=len(self.queue) - self.done(self.mapped_at) if self.mapped_at <= time else 0,
            busy=min(self.finish, time) - self.start if self.policy.worker else 0.0,
        )

    def _batches(self) -> list[float]:
        """Return when batches end."""
        if not self.policy.worker:
            return []
        ends = [*range(self.policy.batch, self.limit, self.policy.batch), self.limit]
        return [self.start + self.policy.span(end) for end in ends]

    def _switch(self) -> float:
        if self.policy.share == 0:
            return self.start
        moments = np.union1d(self._batches(), self.later) if self.policy.share < 1 else self._batches()
        return next((float(time) for time in moments if self.share(float(time)) >= self.policy.share), math.inf)


def renewal_order(
    order: Order,
    present: Tensor,
    arrivals: Times,
    vectors: Tensor,
    labels: Tensor,
    draw: np.random.RandomState,
    answers: Tensor | None = None,
) -> Tensor:
    """Return the rows that are present in the order of their renewal; for ``sigma`` that before the map is there.

    Args:
        order: as of :class:`Policy`.
        present: rows of the gallery, int64.
        arrivals: when each image comes, ``[N]``.
        vectors: as they are stored, ``[N, D]``.
        labels: int64 ``[N]``.
        draw: makes the order by chance.
        answers: rows that queries were answered with, for ``popularity``; equally popular rows keep their order.
    """
    if answers is not None:
        times = torch.bincount(answers, minlength=len(labels))[present]
        return present[times.argsort(descending=True, stable=True)]
    if order in ("random", "sigma"):
        return present[torch.from_numpy(draw.permutation(len(present)))]
    if order == "distance":
        return present[farthest_first(F.normalize(vectors[present]), labels[present])]
    age = torch.from_numpy(arrivals)[present]
    return present[age.argsort(descending=order == "newest", stable=True)]


def farthest_first(vectors: Tensor, labels: Tensor) -> Tensor:
    """Return rows by the distance from the mean of their class, the largest first.

    >>> farthest_first(torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([3, 3, 3]))
    tensor([2, 0, 1])
    """
    _, which = torch.unique(labels, return_inverse=True)
    counts = torch.bincount(which)
    means = vectors.new_zeros(len(counts), vectors.shape[1]).index_add_(0, which, vectors) / counts[:, None]
    return (vectors - means[which]).square().sum(1).argsort(descending=True, stable=True)
