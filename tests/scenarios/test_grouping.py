import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.scenarios.grouping import (
    balanced_parts,
    positions_in,
    ranges,
    ranks,
    shuffled_by,
    shuffled_by_class,
    shuffled_by_experience,
    undelivered,
)
from tests.scenarios.labels import label_arrays


@given(label_arrays(), st.integers(0, 99))
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


@given(label_arrays(), st.integers(1, 9), st.integers(0, 99))
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
