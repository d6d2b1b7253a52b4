"""Unequal class counts: choose the training samples that a stream may use."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.grouping import ranks, shuffled_by
from cl_engine.scenarios.plan import Int64


def imbalance(
    targets: Int64,
    *,
    profile: Annotated[
        Literal["longtail", "step"],
        Field(description="class counts fall geometrically; or the second half of the classes has the smallest"),
    ] = "longtail",
    ratio: Annotated[float, Field(gt=0, le=1, description="smallest class count over the largest")] = 0.01,
    order: Annotated[
        Literal["ordered", "shuffled"],
        Field(description="which classes are large: the lowest labels, or random ones"),
    ] = "ordered",
    seed: Annotated[int, Field(ge=0, description="chooses the samples that stay, and the large classes")] = 0,
) -> Int64:
    """Thin the classes out to a long tail or to a step; return the sorted indices of the samples that stay.

    The class in place c of C keeps floor(n_max * ratio ** (c / (C - 1))) of its samples, chosen at random, where
    n_max is the largest class count (Liu et al. 2022, long-tailed class-incremental learning); a class that has
    fewer keeps them all.

    Raises:
        OptionError: a class would lose all its samples.
    """
    labels, class_ids = np.unique(targets, return_inverse=True)
    largest = int(np.bincount(class_ids).max())
    kept = class_counts(profile, largest, ratio, len(labels))
    if kept[-1] < 1:
        what = f"{ratio} of {largest} samples leaves the smallest class none; choose at least {1 / largest:.6g}"
        raise OptionError("ratio", what)
    if order == "shuffled":
        kept = kept[numpy_generator(seed, "imbalance/class_order").permutation(len(labels))]
    grouped = shuffled_by(class_ids, numpy_generator(seed, "imbalance/membership"))
    grouped_ids = class_ids[grouped]
    return np.sort(grouped[ranks(grouped_ids) < kept[grouped_ids]])


def class_counts(profile: str, largest: int, ratio: float, classes: int) -> Int64:
    """Return the number of samples of each class, largest first, int64 ``[C]``.

    >>> counts = class_counts("longtail", 500, 0.01, 100)
    >>> counts[[0, 1, 50, 99]].tolist(), int(counts.sum())
    ([500, 477, 48, 5], 10847)
    >>> class_counts("step", 500, 0.01, 4).tolist()
    [500, 500, 5, 5]
    """
    place = np.arange(classes) / max(classes - 1, 1)
    exponent = place if profile == "longtail" else (np.arange(classes) >= (classes + 1) // 2).astype(np.float64)
    # A power may come out one unit in the last place below the whole number that it stands for.
    return np.floor(largest * ratio**exponent + 1e-9).astype(np.int64)
