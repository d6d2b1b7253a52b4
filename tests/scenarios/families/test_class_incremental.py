"""Class-incremental plans against the field's golden orders and the invariants of every plan."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.families.class_incremental import canonical, class_incremental, ordered_labels
from cl_engine.scenarios.families.few_shot import few_shot
from cl_engine.scenarios.families.task_incremental import task_incremental
from cl_engine.scenarios.plan import class_ids, exposure_order

labels = st.lists(st.sampled_from([-5, 0, 3, 17, 1000, 2**40]), min_size=1, max_size=60).map(np.array)


@pytest.mark.parametrize(
    ("classes", "start", "end"),
    [
        (10, [4, 2, 7, 6, 0, 3, 5, 8, 9, 1], []),
        (100, [68, 56, 78, 8, 23, 84, 90, 65], [49, 57, 33]),
        (200, [168, 136, 51, 9, 183, 101, 171, 99], []),
        (1000, [54, 7, 894, 512, 126, 337, 988, 11], []),
    ],
)
def test_seed_1993_gives_the_fields_order(classes, start, end):
    order = ordered_labels(np.arange(classes), 1993).tolist()
    assert order[: len(start)] == start
    assert not end or order[-len(end) :] == end


def test_experiences_follow_the_order_not_its_inverse():
    targets = np.repeat(np.arange(100), 3)
    plan = class_incremental(targets, first=50, step=10)
    assert plan.sizes.tolist() == [150, 30, 30, 30, 30, 30]
    first = exposure_order(targets, plan)[:50]
    assert set(first) == set(ordered_labels(targets, 1993)[:50])


@pytest.mark.parametrize(
    ("family", "options"),
    [
        (class_incremental, {"step": 10}),
        (class_incremental, {"first": 50, "step": 10, "seed": 7}),
        (task_incremental, {"step": 20}),
        (few_shot, {"shots": 2}),
    ],
)
def test_class_ids_are_positions_in_the_published_order_of_cifar_100(family, options):
    order = np.random.RandomState(1993).permutation(100).tolist()
    assert (order[:8], order[-3:]) == ([68, 56, 78, 8, 23, 84, 90, 65], [49, 57, 33])  # as published
    targets = np.random.RandomState(0).permutation(np.repeat(np.arange(100), 5))
    plan = family(targets, **options)
    ids = class_ids(plan.delivered(targets), exposure_order(targets, plan))
    assert ids.tolist() == [order.index(label) for label in targets[plan.indices]]


@given(labels, st.integers(0, 2**31), st.integers(1, 3), st.sampled_from(["last", "first"]))
def test_every_plan_keeps_the_invariants(targets, seed, step, remainder):
    classes = len(np.unique(targets))
    plan = class_incremental(targets, step=min(step, classes), class_order=seed, remainder=remainder, seed=seed)
    assert sorted(plan.indices.tolist()) == list(range(len(targets)))  # U1-U4: everything once
    homes = [set(targets[plan.experience(t)]) for t in range(len(plan))]
    assert sum(map(len, homes)) == classes  # each class has one home
    again = class_incremental(targets, step=min(step, classes), class_order=seed, remainder=remainder, seed=seed)
    assert plan.fingerprint == again.fingerprint
    assert sorted(exposure_order(targets, plan)) == sorted(set(targets))


def test_remainder_policies():
    targets = np.arange(10)

    def classes(policy):
        return class_incremental(targets, first=2, step=3, remainder=policy).sizes.tolist()

    assert classes("last") == [2, 3, 3, 2]
    assert classes("first") == [3, 4, 3]
    assert classes("drop") == [2, 3, 3]
    with pytest.raises(OptionError, match="does not divide"):
        classes("error")
    dropped = class_incremental(targets, first=2, step=3, remainder="drop")
    assert dropped.dropped == 2
    assert "2 classes" in dropped.notes[0]


def test_ten_seeds_give_ten_plans():
    targets = np.repeat(np.arange(4), 20)
    assert len({class_incremental(targets, seed=s).fingerprint for s in range(10)}) == 10


def test_order_inside_an_experience_is_uniform():
    """U12 by chi-square: over many seeds each class is equally often in each place."""
    targets = np.array([0, 0, 1, 1])
    counts = np.zeros((4, 4))
    for seed in range(800):
        for place, index in enumerate(class_incremental(targets, seed=seed).indices):
            counts[index, place] += 1
    chi_square = ((counts - 200) ** 2 / 200).sum()
    assert chi_square < 27.9  # 0.999 quantile of 9 degrees of freedom


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"first": 11}, "first"),
        ({"class_order": [0, 1, 2]}, "class_order"),
        ({"class_order": [0] * 10}, "class_order"),
        ({"class_order": 2**32}, "class_order"),
    ],
)
def test_impossible_options_name_themselves(options, option):
    with pytest.raises(OptionError) as raised:
        class_incremental(np.arange(10), **options)
    assert raised.value.option == option


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, [2] * 6),
        ({"experiences": 4}, [3] * 4),
        ({"experiences": 1}, [12]),
        ({"first": 6, "experiences": 4}, [6, 2, 2, 2]),
        ({"first": 12, "experiences": 1}, [12]),
        ({"step": 3, "experiences": 4}, [3] * 4),
        ({"first": 6, "step": 3, "experiences": 3}, [6, 3, 3]),
        ({"experiences": 5, "remainder": "first"}, [3, 3, 2, 2, 2]),
        ({"experiences": 5, "remainder": "drop"}, [2] * 5),
        ({"experiences": 8, "remainder": "first"}, [2, 2, 2, 2, 1, 1, 1, 1]),
        ({"experiences": 7, "remainder": "drop"}, [1] * 7),
        ({"first": 5, "experiences": 3, "remainder": "last"}, [5, 4, 3]),
        ({"experiences": 5, "remainder": "last"}, "remainder"),  # 3 + 3 + 3 + 3 + nothing
        ({"experiences": 5}, "experiences"),
        ({"experiences": 13}, "experiences"),
        ({"first": 6, "experiences": 1}, "experiences"),
        ({"first": 12, "experiences": 2}, "experiences"),
        ({"first": 13, "experiences": 2}, "first"),
        ({"step": 3, "experiences": 5}, "experiences"),
        ({"first": 6, "step": 3, "experiences": 4}, "experiences"),
        ({"step": 13, "experiences": 1}, "step"),
    ],
)
def test_experiences_share_the_classes_out_or_the_wrong_option_is_named(options, sizes):
    if isinstance(sizes, list):
        assert class_incremental(np.arange(12), **options).sizes.tolist() == sizes
        return
    with pytest.raises(OptionError) as raised:
        class_incremental(np.arange(12), **options)
    assert raised.value.option == sizes


numbers = st.one_of(st.none(), st.integers(1, 13))


@given(numbers, numbers, numbers, st.sampled_from(["error", "last", "first", "drop"]), st.integers(1, 13))
def test_the_one_spelling_of_the_options_delivers_the_same_and_is_its_own(
    first, step, experiences, policy, classes
):
    options = {"first": first, "step": step, "experiences": experiences, "remainder": policy}
    targets = np.arange(classes)
    try:
        plan = class_incremental(targets, **options)
    except OptionError:
        return
    settled = canonical(targets, options)
    assert class_incremental(targets, **settled).fingerprint == plan.fingerprint
    assert canonical(targets, settled) == settled
    sizes = plan.sizes.tolist()
    if policy == "error" and len(sizes) > 1:  # whoever asks for these sizes asks in these words
        assert settled["step"] == sizes[-1]
        assert settled["first"] == (None if sizes[0] == sizes[-1] else sizes[0])
        assert settled["experiences"] is None
