"""Which new samples take whose place, one by one: what uniform selections do with few samples among many held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor


class Places:
    """The places of the exemplars of each group, and who gets one.

    Every group's exemplars are a uniform sample of all that it delivered (algorithm R; Vitter, 1985; with classes
    for groups the class-balancing reservoir CBRS, Chrysakis & Moens, ICML 2020), and stay so while groups shrink,
    or grow before they have refused a sample.

    Args:
        group: int64 ``[N]``, the group of the exemplar in each place.
        groups: number of groups.

    >>> import torch
    >>> places = Places(torch.tensor([0, 0, 1]), groups=2)
    >>> places.admit([1, 0], wanted=[1, 2], seen=[2, 1], draws=iter([0.9, 0.5, 0.5]))
    {1: 0}
    >>> places.of
    [[0], [2, 1]]
    """

    def __init__(self, group: Tensor, groups: int) -> None:
        self.of: list[list[int]] = [[] for _ in range(groups)]
        self.count = len(group)
        for place, g in enumerate(group.tolist()):
            self.of[g].append(place)

    def admit(
        self, group: Sequence[int], *, wanted: Sequence[int], seen: Sequence[int], draws: Iterator[float]
    ) -> dict[int, int]:
        """Let new samples in, and return which of them takes which place; of two in one place the later stays.

        Args:
            group: the group of each new sample, in order of arrival.
            wanted: exemplars of each group afterwards; together at least as many as there are.
            seen: samples that each group delivered before.
            draws: uniform in [0, 1), one for each exemplar that leaves its group and one for each new sample.
        """
        free: list[int] = []
        for mine, want in zip(self.of, wanted, strict=True):
            while len(mine) > want:
                leaves = int(next(draws) * len(mine))
                mine[leaves], mine[-1] = mine[-1], mine[leaves]
                free.append(mine.pop())
        delivered, taken = list(seen), {}
        for number, g in enumerate(group):
            mine = self.of[g]
            delivered[g] += 1
            drawn = int(next(draws) * delivered[g])
            if len(mine) < wanted[g]:
                if not free:
                    free.append(self.count)
                    self.count += 1
                mine.append(free.pop())
                taken[mine[-1]] = number
            elif drawn < len(mine):
                taken[mine[drawn]] = number
        return taken
