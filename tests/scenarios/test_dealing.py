from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.scenarios.dealing import largest_remainder
from cl_engine.scenarios.grouping import balanced_parts, positions_in, ranks, shuffled_by
from tests.scenarios.labels import labels


@given(st.lists(st.floats(0, 1e6), min_size=1).filter(any), st.integers(0, 10**6))
def test_the_parts_add_up_and_stay_within_one_of_their_share(shares, total):
    parts = largest_remainder(shares, total)
    assert parts.dtype == np.int64
    assert parts.sum() == total
    exact = np.array(shares) / np.sum(shares) * total
    assert (np.abs(parts - exact) < 1 + 1e-6).all()
    assert (parts[np.array(shares) == 0] == 0).all()


def test_equal_remainders_go_to_the_earlier_part():
    assert largest_remainder([1, 1, 2], 3).tolist() == [1, 1, 1]
    assert largest_remainder([1, 1], 3).tolist() == [2, 1]


@pytest.mark.parametrize("shares", [[], [0, 0], [1, -1], [np.nan, 1], [np.inf]])
def test_shares_that_are_none(shares):
    with pytest.raises(ValueError, match="shares"):
        largest_remainder(shares, 3)


@given(labels(), st.integers(0, 99))
def test_grouping(targets, seed):
    order = np.random.RandomState(seed).permutation(np.unique(targets))
    assert (order[positions_in(order, targets)] == targets).all()
    grouped = shuffled_by(targets, np.random.RandomState(seed))
    assert sorted(grouped.tolist()) == list(range(len(targets)))
    assert (np.diff(targets[grouped]) >= 0).all()
    seen: dict[int, int] = {}
    for label, rank in zip(targets[grouped].tolist(), ranks(targets[grouped]).tolist(), strict=True):
        assert rank == seen.get(label, 0)
        seen[label] = rank + 1


@given(labels(), st.integers(1, 9), st.integers(0, 99))
def test_parts_are_balanced_in_every_class_and_in_size(targets, parts, seed):
    part = balanced_parts(targets, parts, seed)
    for label in np.unique(targets):
        counts = np.bincount(part[targets == label], minlength=parts)
        assert counts.max() - counts.min() <= 1
    sizes = np.bincount(part, minlength=parts)
    assert sizes.max() - sizes.min() <= 1


def test_a_leftover_falls_on_every_part_equally_often():
    targets = np.repeat([0, 1, 2], [4, 1, 5])
    homes = np.bincount([balanced_parts(targets, 3, seed)[4] for seed in range(900)], minlength=3)
    assert ((homes - 300) ** 2 / 300).sum() < 13.8  # 2 degrees of freedom, p = 0.001
