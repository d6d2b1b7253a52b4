import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from labels import label_arrays

from cl_engine.scenarios.dealing import (
    largest_remainder,
    ranges,
    shuffled_by_class,
    shuffled_by_experience,
    undelivered,
)


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=20), st.integers(0, 10**7))
def test_largest_remainder_adds_up_and_stays_within_one(shares, total):
    shares = np.array(shares)
    rounded = largest_remainder(shares, total)
    assert rounded.sum() == total
    assert (np.abs(rounded - shares * total / shares.sum()) < 1 + 1e-6).all()


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 5)), max_size=8))
def test_ranges(pairs):
    starts, lengths = np.array([(0, 0), *pairs]).T
    expected = [i for start, length in pairs for i in range(start, start + length)]
    assert ranges(starts, lengths).tolist() == expected


@given(label_arrays())
def test_shuffled_by_class_holds_every_sample_under_its_class(targets):
    lists = shuffled_by_class(targets, np.random.RandomState(0))
    assert sorted(lists.samples) == list(range(len(targets)))
    assert (lists.labels[lists.classes] == targets[lists.samples]).all()
    assert (lists.ranks == np.concatenate([np.arange(n) for n in lists.counts])).all()


def test_samples_that_never_arrive_are_left_out_and_noted():
    arrival = np.array([2, -1, 0, 2])
    experiences = shuffled_by_experience(arrival, 4, np.random.RandomState(0))
    assert [sorted(e.tolist()) for e in experiences] == [[2], [], [0, 3], []]
    targets = np.array([5, 5, 6, 7])
    assert undelivered(targets, experiences, "why") == ("1 of 4 samples are never delivered: why",)
    assert undelivered(targets, experiences[2:], "why") == (
        "2 of 4 samples, 1 whole classes among them, are never delivered: why",
    )
    assert undelivered(targets, [np.arange(4)], "why") == ()
