"""Cross-tests: queries by one model in the gallery of another, and the matrix of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.errors import InputError
from cl_engine.metrics.mapped import mapped_gallery
from cl_engine.metrics.nearest import COLUMNS, blocks, labels, vectors
from cl_engine.metrics.retrieval import mean_average_precision, recall_at_k
from cl_engine.metrics.verification import verification_accuracy, verification_pairs
from cl_engine.service.policy import Map

Protocol = Literal["templates", "instances", "map", "verification"]
PROTOCOLS = ("templates", "instances", "map", "verification")


def class_templates(gallery: Any, gallery_labels: Any) -> tuple[Tensor, Tensor]:
    """Return one unit vector for each class, the mean of its unit vectors, ``[C, D]``, and the labels ``[C]``.

    Labels may be any integers.  In the released code of IAM-CL2R the place of a template stands for its label, so
    that only labels 0 to C - 1 are right.

    Raises:
        InputError: vectors or labels that do not fit.

    >>> class_templates([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]], [7, 5, 5])
    (tensor([[0., 1.],
            [1., 0.]]), tensor([5, 7]))
    """
    g = vectors("gallery", gallery)
    g = g if g.dtype == torch.float64 else g.float()
    found, which = torch.unique(labels("gallery_labels", gallery_labels, len(g)), return_inverse=True)
    sums = g.new_zeros(len(found), g.shape[1], dtype=torch.float64)
    for rows in blocks(len(g), COLUMNS):
        sums.index_add_(0, which[rows], F.normalize(g[rows]).double())
    return F.normalize(sums).to(g), found


def cross_test(
    queries: Any,
    gallery: Any,
    query_labels: Any,
    gallery_labels: Any,
    protocol: Protocol = "templates",
    seed: int = 0,
) -> float:
    """Return the score of queries in a gallery; by the cosine.

    Args:
        queries: ``[Q, D]``, by the new model.
        gallery: ``[N, D]``, by the old one.
        query_labels: integers ``[Q]``.
        gallery_labels: integers ``[N]``.
        protocol: ``templates``: top-1 among one template a class (IAM-CL2R); ``instances``: top-1 among all
            vectors; ``map``: mean average precision; ``verification``: 3,000 pairs of each sort (CoReS, CL2R).
        seed: of the pairs.

    Raises:
        InputError: vectors or labels that do not fit, or no query has its class in the gallery.

    >>> cross_test([[1.0, 0.1], [0.1, 1.0]], [[1.0, 0.0], [0.0, 1.0]], [3, 4], [3, 4])
    1.0
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol is {protocol!r}; allowed: {', '.join(PROTOCOLS)}")
    if protocol == "verification":
        return verification_accuracy(queries, gallery, verification_pairs(query_labels, gallery_labels, seed=seed))
    if protocol == "map":
        precision = mean_average_precision(queries, gallery, query_labels, gallery_labels)
        if precision is None:
            raise InputError("no query is of a class of the gallery; allowed: classes that both have")
        return precision
    if protocol == "templates":
        gallery, gallery_labels = class_templates(gallery, gallery_labels)
    return recall_at_k(queries, gallery, query_labels, gallery_labels)[1]


def compatibility_matrix(
    galleries: Sequence[Any],
    queries: Sequence[Any],
    gallery_labels: Any,
    query_labels: Any,
    protocol: Protocol = "templates",
    seed: int = 0,
    map: Map | None = None,
    pairs: int = 256,
) -> list[list[float]]:
    """Return M: row t holds the scores of queries by model t in the galleries of models 1 to t.

    Args:
        galleries: for each model, in order, the gallery as it embeds it, ``[N, D]``.
        queries: for each model the queries, ``[Q, D]``.
        gallery_labels: integers ``[N]``.
        query_labels: integers ``[Q]``.
        protocol: as of :func:`cross_test`.
        seed: likewise, and of the pairs of a map.
        map: what older galleries go through before a newer model searches them, as of :func:`mapped_gallery`.
        pairs: images that it is fitted on.

    Raises:
        InputError: not as many galleries as queries, or what :func:`cross_test` or :func:`mapped_gallery` raises.

    >>> one, other = [[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]
    >>> compatibility_matrix([one, other], [one, other], [0, 1], [0, 1])
    [[1.0], [0.0, 1.0]]
    """
    if len(galleries) != len(queries) or not len(queries):
        found = f"{len(galleries)} galleries and the queries of {len(queries)} models"
        raise InputError(f"{found}; allowed: one of each for every model, and at least one model")
    if protocol == "templates" and map is None:  # each gallery needs them once
        made = [class_templates(gallery, gallery_labels) for gallery in galleries]
        galleries, gallery_labels, protocol = [m[0] for m in made], made[0][1], "instances"
    rows = []
    for t, q in enumerate(queries):
        searched = [*galleries[: t + 1]]
        if map is not None:
            searched[:t] = [mapped_gallery(old, searched[t], map, pairs, seed) for old in searched[:t]]
        rows.append([cross_test(q, gallery, query_labels, gallery_labels, protocol, seed) for gallery in searched])
    return rows
