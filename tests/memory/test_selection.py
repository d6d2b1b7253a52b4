"""Selections against their definitions."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.memory.selection import herding, shares


def naive_distances(features, picks, k):
    """``||mu - (S + v_i) / k||`` for every i, as iCaRL writes it."""
    v = features.double()
    v = v / (v.norm(dim=1, keepdim=True) + 1e-8)
    distances = (v.mean(0) - (v[picks[: k - 1]].sum(0) + v) / k).norm(dim=1)
    distances[picks[: k - 1]] = torch.inf
    return distances


@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 10**6))
def test_herding_is_greedy_has_no_duplicates_and_the_prefix_property(n, d, seed):
    features = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    picks = herding(features, n).tolist()
    assert sorted(picks) == list(range(n))
    assert picks[: n // 2] == herding(features, n // 2).tolist()
    for k in range(1, n + 1):  # each pick is a minimiser; exact ties may fall either way
        distances = naive_distances(features, picks, k)
        assert distances[picks[k - 1]] <= distances.min() + 1e-9


@given(st.lists(st.integers(0, 20), max_size=8), st.integers(0, 100))
def test_shares_waste_nothing_and_are_even(available, total):
    found = shares(available, total)
    assert sum(found) == min(total, sum(available))
    assert all(0 <= f <= a for f, a in zip(found, available, strict=True))
    short_of = [f for f, a in zip(found, available, strict=True) if f < a]
    if short_of:  # who could take more has as much as anyone, within one
        assert min(short_of) >= max(found) - 1
