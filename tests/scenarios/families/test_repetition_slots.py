import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.families.repetition_slots import repetition_slots
from tests.scenarios.invariants import check_plan, check_seeds, check_uniform_order, class_counts
from tests.scenarios.labels import balanced, label_arrays


@given(label_arrays(max_per_class=60), st.data(), st.integers(0, 5))
def test_every_class_is_cut_into_equal_parts(targets, data, seed):
    totals = np.unique(targets, return_counts=True)[1]
    classes = len(totals)
    experiences = data.draw(st.integers(1, 10))
    slots = data.draw(st.integers(-(-classes // experiences), classes))
    plan = repetition_slots(targets, experiences=experiences, classes_per_experience=slots, seed=seed)
    check_plan(targets, plan)
    assert plan.repeats is False
    assert plan.boundaries is True

    counts = class_counts(targets, plan)
    fewest, one_more = divmod(experiences * slots, classes)
    parts = []
    for c, total in enumerate(totals):
        if total < fewest + 1:  # too small to tell how many parts it had
            continue
        fits = [p for p in (fewest, fewest + 1) if counts[:, c].sum() == p * (total // p)]
        fits = [p for p in fits if (counts[:, c] % (total // p) == 0).all()]
        assert fits
        parts.append(fits)
    if len(parts) == classes and all(len(fits) == 1 for fits in parts):
        assert sum(p == fewest + 1 for (p,) in parts) == one_more
        assert np.sum(parts) == experiences * slots
    assert ((counts > 0).sum(1) <= slots).all()
    if totals.min() > fewest:
        assert (counts.sum(0) > 0).all()
        # From the last experience on, classes are distinct for as long as there are enough of them.
        assert (counts[-1] > 0).sum() == slots


@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 20), st.integers(0, 5))
def test_one_slot_for_each_class_is_class_incremental(experiences, slots, per_class, seed):
    targets = balanced(experiences * slots, per_class)
    plan = repetition_slots(targets, experiences=experiences, classes_per_experience=slots, seed=seed)
    counts = class_counts(targets, plan)
    assert (counts.max(0) == per_class).all()
    assert ((counts > 0).sum(0) == 1).all()
    assert ((counts > 0).sum(1) == slots).all()


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 40), st.integers(0, 5))
def test_a_slot_for_every_class_brings_every_class_every_time(experiences, classes, per_class, seed):
    targets = balanced(classes, per_class)
    plan = repetition_slots(targets, experiences=experiences, classes_per_experience=classes, seed=seed)
    assert (class_counts(targets, plan) == per_class // experiences).all()


def test_sizes_of_cifar_like_data():
    targets = balanced(100, 500)
    for slots in (10, 30, 50, 80, 100):
        plan = repetition_slots(targets, classes_per_experience=slots)
        assert plan.sizes.tolist() == [slots * (500 // (slots // 10))] * 10
        assert ((class_counts(targets, plan) > 0).sum(1)[3:] == slots).all()


def test_any_class_may_get_the_part_too_many():
    targets = balanced(3, 4)
    options = {"experiences": 2, "classes_per_experience": 2}
    counts = [class_counts(targets, repetition_slots(targets, seed=seed, **options)) for seed in range(20)]
    assert {int(c.max(0).argmin()) for c in counts} == {0, 1, 2}


def test_leftovers_are_dropped_and_noted():
    plan = repetition_slots(np.array([3, 17, 17, 17, 17, 17]), experiences=2, classes_per_experience=2)
    assert plan.sizes.tolist() == [2, 2]
    assert plan.notes == (
        "2 of 6 samples, 1 whole classes among them, are never delivered: left over from the equal parts of their "
        "class",
    )


@pytest.mark.parametrize(("experiences", "slots"), [(3, 3), (3, 11), (1, 9)])
def test_too_few_and_too_many_slots_are_refused(experiences, slots):
    with pytest.raises(OptionError, match=f"slots for 10 classes; choose {-(-10 // experiences)} to 10"):
        repetition_slots(balanced(10, 5), experiences=experiences, classes_per_experience=slots)


def test_seeds_and_order():
    check_seeds(repetition_slots, balanced(20, 50))
    check_uniform_order(balanced(10, 500), repetition_slots(balanced(10, 500), experiences=2))


def test_fingerprint_is_the_same_everywhere():
    assert repetition_slots(balanced(20, 50)).fingerprint.startswith("cef2cb8071164c48")
