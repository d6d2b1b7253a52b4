"""How an experience reaches a strategy, and when accuracy is measured on the way."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

Protocol = Literal["exact", "after-batch"]


class Delivery(NamedTuple):
    """The micro-batches of one experience.

    Attributes:
        stops: where each micro-batch ends, as numbers of the experience's samples, ascending; the last is all.
        evaluate: those of the stops at which accuracy is measured.
    """

    stops: tuple[int, ...]
    evaluate: frozenset[int]


def deliveries(
    experience_sizes: list[int], micro_batch: int | None, every: int | None, protocol: Protocol
) -> list[Delivery]:
    """Plan the micro-batches of all experiences.

    Args:
        experience_sizes: samples of each experience.
        micro_batch: samples of a micro-batch; None delivers each experience at once.  Micro-batches never cross
            an experience.
        every: measure accuracy every so many delivered samples; None: not within experiences.
        protocol: ``exact`` measures at exact multiples, where it ends a micro-batch early (i-Blurry, 2022);
            ``after-batch`` measures after the first micro-batch that goes beyond the next multiple, at most once a
            micro-batch (Si-Blurry and G-ACIL, as released).

    >>> deliveries([10, 5], 4, 6, "exact")[0]
    Delivery(stops=(4, 6, 8, 10), evaluate=frozenset({6}))
    >>> [sorted(d.evaluate) for d in deliveries([10, 5], 4, 6, "after-batch")]
    [[8], [4]]
    """
    planned, delivered, due = [], 0, every or 0
    for size in experience_sizes:
        regular = np.arange(micro_batch, size, micro_batch).tolist() if micro_batch else []
        multiples: set[int] = set()
        if every and protocol == "exact":
            multiples = {
                m - delivered for m in range((delivered // every + 1) * every, delivered + size + 1, every)
            }
        stops = sorted({*regular, *multiples, size} - {0})
        evaluate = set(multiples)
        if every and protocol == "after-batch":
            for stop in stops:
                if delivered + stop > due:
                    evaluate.add(stop)
                    due += every
        planned.append(Delivery(tuple(stops), frozenset(evaluate)))
        delivered += size
    return planned
