"""Rank intervals against numbers computed apart from the package, and what must not change them."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.errors import InputError
from cl_engine.statistics.ranks import pairwise, ranks
from tests.statistics.sweep import column, strategies

tables = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.dictionaries(st.integers(0, 4), st.floats(0, 1).map(lambda v: round(v, 3)), max_size=5),
    max_size=6,
)


@pytest.mark.parametrize(
    ("budget", "seeds", "expected"),
    [
        (0.125, 5, [(2, 2, 2), (3, 3, 3), (4, 4, 4), (1, 1, 1)]),
        (0.25, 5, [(1, 1, 2), (3, 3, 4), (4, 3, 4), (2, 1, 2)]),
        (0.5, 5, [(3, 3, 3), (1, 1, 2), (2, 1, 2), (4, 4, 4)]),
        (1.0, 5, [(3, 3, 3), (2, 1, 2), (1, 1, 2), (4, 4, 4)]),
        (0.125, 3, [(2, 2, 4), (3, 2, 4), (4, 2, 4), (1, 1, 1)]),
        (0.25, 3, [(2, 1, 4), (3, 2, 4), (4, 2, 4), (1, 1, 2)]),
        (0.5, 3, [(3, 1, 3), (1, 1, 3), (2, 1, 3), (4, 4, 4)]),
        (1.0, 3, [(3, 3, 3), (1, 1, 2), (1, 1, 2), (4, 4, 4)]),
    ],
)
def test_reference_ranks_and_intervals(budget, seeds, expected):
    found = ranks({name: column(name, budget, seeds) for name in strategies()})
    assert [(r.rank, r.low, r.high) for r in found.values()] == expected
    assert [r.may_be_best for r in found.values()] == [low == 1 for _, low, _ in expected]


@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_strategies_and_seeds_changes_nothing(table, shuffle):
    names = list(table)
    shuffle.shuffle(names)
    shuffled = {}
    for name in names:
        rows = list(table[name].items())
        shuffle.shuffle(rows)
        shuffled[name] = dict(rows)
    found = ranks(shuffled)
    for name, rank in ranks(table).items():
        assert found[name].note == rank.note
        assert found[name][2:6] == rank[2:6]
        assert found[name].mean == pytest.approx(rank.mean, nan_ok=True)


@given(tables, st.dictionaries(st.integers(0, 4), st.floats(0, 1), max_size=5))
def test_another_strategy_changes_no_difference_between_two(table, newcomer):
    before, after = pairwise(table), pairwise({"newcomer": newcomer, **table})
    assert all(repr(after[pair]) == repr(difference) for pair, difference in before.items())


@given(tables)
def test_the_interval_holds_the_rank_and_somebody_may_be_best(table):
    found = [r for r in ranks(table).values() if r.low is not None]
    assert all(1 <= r.low <= r.high <= len(table) for r in found)
    if found and all(r.n == 5 for r in found):
        assert all(r.low <= r.rank <= r.high for r in found)
        assert any(r.may_be_best for r in found)


def test_equal_strategies_share_the_first_place():
    found = ranks({"a": {0: 0.5, 1: 0.6}, "b": {0: 0.5, 1: 0.6}, "c": {0: 0.1, 1: 0.2}})
    assert (found["a"].rank, found["b"].rank, found["c"].rank) == (1, 1, 3)


def test_missing_runs_have_three_signs():
    good, fair = dict.fromkeys(range(5), 0.9), dict.fromkeys(range(5), 0.8)
    found = ranks(
        {"good": good, "fair": fair, "dead": {}, "few": {0: 1.0, 1: 1.0}, "three": {0: 0.1, 1: 0.2, 2: 0.3}},
        impossible=["large"],
        seeds=5,
    )
    assert found["dead"].note == "every run failed or is missing"
    assert (found["dead"].rank, found["dead"].may_be_best) == (None, None)
    assert (found["large"].rank, found["large"].may_be_best) == (None, False)
    assert found["large"].note == "impossible within this budget"
    assert (found["few"].n, found["few"].mean, found["few"].rank, found["few"].note) == (
        2,
        1.0,
        None,
        "only 2 of 5 seeds",
    )
    assert (found["three"].n, found["three"].rank) == (3, 3)
    assert (found["good"].low, found["good"].high) == (1, 1)


def test_one_seed_has_a_place_and_no_interval():
    found = ranks({"a": {0: 0.9}, "b": {0: 0.1}})
    assert [(r.rank, r.low, r.high, r.may_be_best) for r in found.values()] == [
        (1, None, None, None),
        (2, None, None, None),
    ]
    assert found["a"].note == "one seed: no statement about noise"


def test_two_seeds_separate_nobody_unless_nothing_varies():
    noisy = ranks({"a": {0: 0.9, 1: 0.901}, "b": {0: 0.1, 1: 0.1}})
    assert [(r.low, r.high) for r in noisy.values()] == [(1, 2), (1, 2)]
    still = ranks({"a": {0: 0.9, 1: 0.9}, "b": {0: 0.1, 1: 0.1}})
    assert [(r.low, r.high) for r in still.values()] == [(1, 1), (2, 2)]


def test_the_true_best_stays_in_the_set_in_95_of_100_sweeps():
    draw, kept = random.Random(0), 0
    for _ in range(200):
        shared = [draw.gauss(0, 0.02) for _ in range(3)]
        table = {
            name: {s: mean + shared[s] + draw.gauss(0, 0.01) for s in range(3)}
            for name, mean in (("best", 0.7), ("near", 0.695), ("far", 0.6))
        }
        kept += ranks(table)["best"].may_be_best
    assert kept >= 190


def test_nothing_ranks_nothing_and_a_missing_value_is_refused():
    assert ranks({}) == {}
    with pytest.raises(InputError, match="ranks: a: nan"):
        ranks({"a": {0: math.nan}})
