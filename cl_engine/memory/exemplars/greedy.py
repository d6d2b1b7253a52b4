"""GDumb's sampler: take what a class still lacks, evict from the largest."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def greedily_balanced(held: Sequence[int], new: Sequence[int], slots: int, generator: torch.Generator) -> list[int]:
    """Return which samples are held after new ones came one by one, as ascending places in held and new.

    With Y classes among those held or come so far, a sample is taken if its class has fewer than ``slots / Y``;
    where all slots are taken a random one of the largest class goes, among equals that of the lowest id (GDumb;
    Prabhu et al., ECCV 2020).  Within a class the earlier samples stay, so this is no uniform sample of it.

    Args:
        held: class of each sample held; those beyond ``slots`` are evicted first.
        new: class of each new sample, in order of arrival.
        slots: samples that may be held.
        generator: a CPU generator, draws who is evicted.

    >>> greedily_balanced([0], [0, 1, 1, 0], slots=4, generator=torch.Generator().manual_seed(0))  # 4 / 2 each
    [0, 1, 2, 3]
    """
    of: dict[int, list[int]] = {}
    for place, label in enumerate(held):
        of.setdefault(label, []).append(place)
    count = len(held)

    def evict() -> None:
        largest = of[min(of, key=lambda label: (-len(of[label]), label))]
        largest.pop(int(torch.randint(len(largest), (), generator=generator)))

    while count > slots:
        evict()
        count -= 1
    for place, label in enumerate(new, len(held)):
        mine = of.setdefault(label, [])
        if len(mine) * len(of) >= slots:
            continue
        if count == slots:
            evict()
        else:
            count += 1
        mine.append(place)
    return sorted(place for mine in of.values() for place in mine)
