"""Retrieval: how well queries find vectors of their class in a gallery; exact, and the same in any block size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cl_engine.errors import InputError
from cl_engine.metrics.nearest import COLUMNS, Comparison, Distance, blocks, labels, search

RANKED = 1 << 24  # scores that are ranked at once: about 400 MiB


def recall_at_k(
    queries: Any,
    gallery: Any,
    query_labels: Any,
    gallery_labels: Any,
    k: Sequence[int] = (1,),
    distance: Distance = "cosine",
    itself: Tensor | None = None,
) -> dict[int, float]:
    """Return for each of ``k`` the share of queries with one or more of their class among the k nearest (CMC-k).

    For k = 1 it is the top-1 accuracy of retrieval.  Queries whose class the gallery lacks count as missed.

    Args:
        queries: ``[Q, D]``; this and the others as of :func:`search`.
        gallery: ``[N, D]``.
        query_labels: integers ``[Q]``.
        gallery_labels: integers ``[N]``.
        k: which.
        distance: as of :func:`search`.
        itself: likewise.

    Raises:
        InputError: shapes or labels that do not fit, or fewer than k vectors.

    >>> recall_at_k([[1.0, 0.1]], [[0.0, 1.0], [1.0, 0.0]], [0], [0, 1], k=(1, 2))
    {1: 0.0, 2: 1.0}
    """
    if not k:
        raise InputError("k is empty; allowed: one number or more")
    found = search(queries, gallery, max(k), distance, itself)
    yq = labels("query_labels", query_labels, len(found.indices))
    yg = labels("gallery_labels", gallery_labels, len(gallery))
    right = yg[found.indices] == yq[:, None]
    return {n: int(right[:, :n].any(1).sum()) / len(right) for n in k}


def mean_average_precision(
    queries: Any,
    gallery: Any,
    query_labels: Any,
    gallery_labels: Any,
    distance: Distance = "cosine",
    itself: Tensor | None = None,
) -> float | None:
    """Return mAP: the mean over queries of the mean over relevant vectors of the precision at their rank.

    Relevant is what has the query's label.  The whole gallery is ranked; of equal scores the lower row comes first,
    where scikit-learn's ``average_precision_score`` puts them at one threshold.  Queries without a relevant vector
    are left out; None where no query has one.  Arguments and errors are those of :func:`recall_at_k`.

    >>> mean_average_precision([[1.0, 0.1]], [[0.0, 1.0], [1.0, 0.0]], [0], [0, 1])
    0.5
    """
    compared = Comparison(queries, gallery, distance, itself)
    rows, columns = compared.shape
    yq, yg = labels("query_labels", query_labels, rows), labels("gallery_labels", gallery_labels, columns)
    total, counted = 0.0, 0
    for down in blocks(rows, max(1, RANKED // columns)):
        scores = torch.cat([compared.scores(down, across) for across in blocks(columns, COLUMNS)], 1)
        order = scores.sort(dim=1, descending=True, stable=True).indices
        relevant = yg[order] == yq[down, None]
        if itself is not None:  # its score is minus infinity, so it may stand anywhere at the end
            relevant &= order != itself[down, None]
        row, rank = relevant.nonzero(as_tuple=True)
        found = relevant.sum(1)
        before = torch.cumsum(found, 0) - found  # relevant vectors of the queries above
        place = torch.arange(1, len(row) + 1, device=row.device) - before[row]
        sums = torch.zeros(len(found), dtype=torch.float64, device=row.device)
        sums.index_add_(0, row, place / (rank + 1).double())
        some = found > 0
        total += float((sums[some] / found[some]).sum())
        counted += int(some.sum())
    return total / counted if counted else None
