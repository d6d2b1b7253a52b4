"""Micro-batches and evaluation points, against the rules of the two published protocols."""

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from cl_engine.scenarios.delivery import deliveries

SIZES = st.lists(st.integers(0, 60), min_size=1, max_size=6)


@given(SIZES, st.integers(1, 20))
def test_micro_batches_cut_each_experience_evenly(sizes, b):
    for size, delivery in zip(sizes, deliveries(sizes, b, None, "exact"), strict=True):
        cuts = [0, *delivery.stops]
        assert len(delivery.stops) == math.ceil(size / b)
        assert cuts[-1] == size
        assert all(later - earlier <= b for earlier, later in itertools.pairwise(cuts))
        assert not delivery.evaluate


@given(SIZES, st.integers(1, 20), st.integers(1, 50))
def test_exact_points_are_all_multiples(sizes, b, every):
    points, delivered = [], 0
    for size, delivery in zip(sizes, deliveries(sizes, b, every, "exact"), strict=True):
        assert delivery.evaluate <= set(delivery.stops)
        points += sorted(delivered + e for e in delivery.evaluate)
        delivered += size
    assert points == list(range(every, sum(sizes) + 1, every))


@given(SIZES, st.integers(1, 20), st.integers(1, 50))
def test_after_batch_points_follow_the_published_loop(sizes, b, every):
    points, delivered = [], 0
    for size, delivery in zip(sizes, deliveries(sizes, b, every, "after-batch"), strict=True):
        points += sorted(delivered + e for e in delivery.evaluate)
        delivered += size
    expected, count, due = [], 0, every
    for size in sizes:  # the loop of the released trainers, written out
        left = size
        while left:
            count += min(b, left)
            left -= min(b, left)
            if count > due:
                expected.append(count)
                due += every
    assert points == expected


def test_the_published_run_has_49_points():
    """50,000 samples, evaluation period 1,000, batch 64 in five tasks: the final state is not among them."""
    sizes = [6500, 3000, 10264, 22000, 8236]
    planned = deliveries(sizes, 64, 1000, "after-batch")
    assert sum(len(d.evaluate) for d in planned) == 49
    assert sizes[-1] not in planned[-1].evaluate
    assert sum(len(d.evaluate) for d in deliveries([10_000] * 5, 16, 100, "exact")) == 500
