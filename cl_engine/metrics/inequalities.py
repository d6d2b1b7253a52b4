"""The definition of compatibility itself, pair by pair."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cl_engine.errors import InputError
from cl_engine.metrics.nearest import COLUMNS, ROWS, Comparison, blocks, labels


class Satisfaction(NamedTuple):
    """Shares of the pairs that satisfy an inequality; None where there is no such pair.

    Attributes:
        same: of pairs of one class: the new query is no further from the old vector than the old query.
        different: of pairs of two classes: the new query is no nearer to the old vector than the old query.
    """

    same: float | None
    different: float | None


def satisfaction(
    new_queries: Any,
    old_queries: Any,
    old_gallery: Any,
    query_labels: Any,
    gallery_labels: Any,
    itself: Tensor | None = None,
    renewed: Any = None,
) -> Satisfaction:
    """Return how often each inequality of backward compatibility holds (BCT, Shen et al., CVPR 2020).

    Over all pairs of a query and a vector of the gallery, with the cosine distance; in blocks, exact.  A model that
    did not change satisfies all of them.

    Args:
        new_queries: ``[Q, D]``, by the new model.
        old_queries: ``[Q, D]``, the same samples by the old one.
        old_gallery: ``[N, D]``, by the old one.
        query_labels: integers ``[Q]``.
        gallery_labels: integers ``[N]``.
        itself: int64 ``[Q]``, the row of the gallery that is the query itself and makes no pair, or -1.
        renewed: ``[N, D']``, what became of the gallery until the new model searched it; None: nothing.

    Raises:
        InputError: vectors or labels that do not fit.

    >>> satisfaction([[1.0, 0.0]], [[1.0, 1.0]], [[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]], [0], [0, 1, 1])
    Satisfaction(same=1.0, different=0.5)
    """
    found = old_gallery if renewed is None else renewed
    by_new, by_old = (
        Comparison(queries, gallery, "cosine", itself)
        for queries, gallery in ((new_queries, found), (old_queries, old_gallery))
    )
    (rows, columns), others = by_new.shape, by_old.shape[0]
    if rows != others:
        raise InputError(f"{rows} new queries and {others} old ones; allowed: the same samples in both")
    yq, yg = labels("query_labels", query_labels, rows), labels("gallery_labels", gallery_labels, columns)
    held, pairs = [0, 0], [0, 0]
    for down, across in itertools.product(blocks(rows, ROWS), blocks(columns, COLUMNS)):
        new, old = by_new.scores(down, across), by_old.scores(down, across)
        same, real = yq[down, None] == yg[across], old > -torch.inf  # a query and itself are no pair
        for kind, (of_it, fine) in enumerate(((same & real, new >= old), (~same & real, new <= old))):
            pairs[kind] += int(of_it.sum())
            held[kind] += int((of_it & fine).sum())
    return Satisfaction(*(part / whole if whole else None for part, whole in zip(held, pairs, strict=True)))
