"""The definition of compatibility itself: its two inequalities pair by pair, and in the mean over pairs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.errors import InputError
from cl_engine.metrics.nearest import COLUMNS, ROWS, Comparison, blocks, labels, vectors


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


class Cosines(NamedTuple):
    """Mean cosines of a query and a vector of the gallery; None where there is no such pair.

    Attributes:
        same: over pairs of one class.
        different: over pairs of two classes.
    """

    same: float | None
    different: float | None


def mean_cosines(queries: Any, gallery: Any, query_labels: Any, gallery_labels: Any) -> Cosines:
    """Return the mean cosines over all pairs, from the sums of each class: no pair is made.

    A new model satisfies an inequality in the mean where its ``same`` in an old gallery is no lower than that of
    the old queries, and its ``different`` no higher; in that form the d-simplex is claimed to satisfy both.

    Args:
        queries: ``[Q, D]``.
        gallery: ``[N, D]``.
        query_labels: integers ``[Q]``.
        gallery_labels: integers ``[N]``.

    Raises:
        InputError: vectors or labels that do not fit.

    >>> mean_cosines([[1.0, 0.0]], [[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [0], [0, 1, 1])
    Cosines(same=1.0, different=-0.5)
    """
    q, g = vectors("queries", queries), vectors("gallery", gallery)
    if q.shape[1] != g.shape[1]:
        widths = f"queries have {q.shape[1]} values and the gallery {g.shape[1]}"
        raise InputError(f"{widths}; allowed: the same width")
    yq, yg = labels("query_labels", query_labels, len(q)), labels("gallery_labels", gallery_labels, len(g))
    known, both = torch.unique(torch.cat([yq, yg]), return_inverse=True)
    sums, counts = [], []
    for x, y in ((q, both[: len(q)]), (g, both[len(q) :])):
        sums.append(torch.zeros(len(known), x.shape[1], dtype=torch.float64))
        for rows in blocks(len(x), COLUMNS):
            sums[-1].index_add_(0, y[rows], F.normalize(x[rows].double()))
        counts.append(torch.bincount(y, minlength=len(known)))
    same, pairs = float((sums[0] * sums[1]).sum()), int((counts[0] * counts[1]).sum())
    whole, others = float(sums[0].sum(0) @ sums[1].sum(0)), len(q) * len(g) - pairs
    return Cosines(same / pairs if pairs else None, (whole - same) / others if others else None)


class Violations(NamedTuple):
    """Cross-tests (t, k), from 0, that violate an inequality in the mean.

    Attributes:
        farther: the new queries are farther from the old vectors of their class than the old queries are.
        nearer: they are nearer to those of other classes.
    """

    farther: list[tuple[int, int]]
    nearer: list[tuple[int, int]]


def violations(same: Sequence[Sequence[float]], different: Sequence[Sequence[float]]) -> Violations:
    """Return the cross-tests that violate an inequality in the mean.

    Args:
        same: row t: ``same`` of :func:`mean_cosines` of queries by model t in the galleries of models 0 to t.
        different: the same of ``different``.

    >>> violations([[0.9], [0.8, 0.9]], [[0.1], [0.1, 0.0]])
    Violations(farther=[(1, 0)], nearer=[])
    """
    pairs = [(t, k) for t in range(len(same)) for k in range(t)]
    return Violations(
        [(t, k) for t, k in pairs if same[t][k] < same[k][k]],
        [(t, k) for t, k in pairs if different[t][k] > different[k][k]],
    )
