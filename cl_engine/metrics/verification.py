"""Verification: whether two samples are of the same class, told by the distance of their vectors."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.errors import InputError
from cl_engine.metrics.nearest import labels, vectors
from cl_engine.randomness import numpy_generator

Int64 = npt.NDArray[np.int64]
THRESHOLDS = np.arange(0, 4, 0.001)  # of the squared distance of unit vectors
FOLDS = 10


class Pairs(NamedTuple):
    """Pairs of a query and a vector of the gallery, same and different classes in turn.

    Attributes:
        queries: int64 ``[P]``.
        gallery: int64 ``[P]``.
        same: bool ``[P]``.
    """

    queries: Int64
    gallery: Int64
    same: npt.NDArray[np.bool_]


def verification_pairs(query_labels: Any, gallery_labels: Any, pairs: int = 3000, seed: int = 0) -> Pairs:
    """Draw ``pairs`` pairs of the same class and as many of different ones.

    Uniform over the queries, then over what fits in the gallery; with replacement.  CoReS and CL2R draw theirs anew
    in each evaluation; here a seed fixes them, so that all cells of a matrix have the same.

    Raises:
        InputError: no query has a vector of its class and one of another in the gallery, or fewer pairs than folds.
    """
    yq, yg = np.asarray(query_labels), np.asarray(gallery_labels)
    labels("query_labels", yq, len(yq))
    labels("gallery_labels", yg, len(yg))
    if pairs < FOLDS:
        raise InputError(f"pairs is {pairs}; allowed: {FOLDS} or more, one of each sort in each fold")
    order = np.argsort(yg, kind="stable")
    first, last = np.searchsorted(yg[order], yq, "left"), np.searchsorted(yg[order], yq, "right")
    own = last - first  # how many of the gallery are of a query's class
    draw = numpy_generator(seed, "verification pairs")
    with_own, with_other = np.flatnonzero(own > 0), np.flatnonzero(own < len(yg))
    if not len(with_own) or not len(with_other):
        raise InputError("no pairs to verify; allowed: galleries of two classes or more that queries are of too")
    i, j = draw.choice(with_own, pairs), draw.choice(with_other, pairs)
    same = first[i] + draw.randint(0, own[i])
    rest = draw.randint(0, len(yg) - own[j])
    different = rest + np.where(rest >= first[j], own[j], 0)  # the block of the query's class is passed over
    return Pairs(
        np.stack([i, j], 1).ravel(),
        order[np.stack([same, different], 1).ravel()],
        np.tile([True, False], pairs),
    )


def verification_accuracy(queries: Any, gallery: Any, pairs: Pairs) -> float:
    """Return the accuracy of telling the pairs apart by a threshold of their distance, in ten folds.

    A pair is called the same where the squared distance of the unit vectors lies below a threshold of 0, 0.001,
    ..., 3.999; the lowest that is best on nine folds is used on the tenth (the protocol of LFW, as in the code of
    CoReS and CL2R).  Folds are stretches of the pairs.

    Args:
        queries: ``[Q, D]``, by one model.
        gallery: ``[N, D]``, by the same or another one.
        pairs: of :func:`verification_pairs`, or of a published list.

    Raises:
        InputError: vectors of other widths.

    >>> pairs = verification_pairs([0, 1], [0, 1], pairs=10)
    >>> verification_accuracy([[1.0, 0], [0, 1]], [[2.0, 0], [0, 3]], pairs)
    1.0
    """
    q, g = vectors("queries", queries), vectors("gallery", gallery)
    if q.shape[1] != g.shape[1]:
        raise InputError(f"queries have {q.shape[1]} values and the gallery {g.shape[1]}; allowed: the same width")
    one, other = _unit(q, pairs.queries), _unit(g, pairs.gallery)
    distances = ((one - other) ** 2).sum(1).double().cpu().numpy()
    passed = np.searchsorted(THRESHOLDS, distances, "right")  # from this threshold on it is called the same
    right = np.zeros((FOLDS, len(THRESHOLDS)), dtype=np.int64)
    bounds = np.linspace(0, len(distances), FOLDS + 1).astype(np.int64)
    sizes = np.diff(bounds)
    for fold, (start, stop) in enumerate(itertools.pairwise(bounds)):
        same, at = pairs.same[start:stop], passed[start:stop]
        called = [np.cumsum(np.bincount(at[mark], minlength=len(THRESHOLDS) + 1))[:-1] for mark in (same, ~same)]
        right[fold] = called[0] + (~same).sum() - called[1]
    chosen = [int((right.sum(0) - right[fold]).argmax()) for fold in range(FOLDS)]
    return float(np.mean([right[fold, at] / sizes[fold] for fold, at in enumerate(chosen)]))


def _unit(rows: Tensor, index: Int64) -> Tensor:
    chosen = rows[torch.from_numpy(np.ascontiguousarray(index)).to(rows.device)]
    return F.normalize(chosen if chosen.dtype == torch.float64 else chosen.float())
