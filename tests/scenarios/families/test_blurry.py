import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.families.blurry import blurry
from cl_engine.scenarios.families.class_incremental import class_incremental, ordered_labels
from tests.scenarios.invariants import check_plan, check_seeds, check_uniform_order, class_counts
from tests.scenarios.labels import balanced, label_arrays


@given(label_arrays(), st.integers(2, 8), st.integers(0, 100), st.integers(0, 5))
def test_each_class_leaves_home_as_asked_and_spreads_evenly(targets, experiences, blur, seed):
    plan = blurry(targets, experiences=experiences, blur=blur, seed=seed)
    check_plan(targets, plan)
    assert plan.dropped == 0
    assert plan.boundaries is False
    counts = class_counts(targets, plan)
    labels, totals = np.unique(targets, return_counts=True)
    order = ordered_labels(targets, 1993)
    for t, run in enumerate(np.array_split(order, experiences)):
        for c in np.searchsorted(labels, run):
            away = np.delete(counts[:, c], t)
            assert away.sum() == (totals[c] * blur + 50) // 100
            assert away.max() - away.min() <= 1


@given(st.integers(2, 6), st.integers(1, 4), st.integers(1, 40), st.integers(0, 100), st.integers(0, 5))
def test_balanced_data_gives_experiences_of_equal_size(experiences, classes_each, per_class, blur, seed):
    targets = balanced(experiences * classes_each, per_class)
    plan = blurry(targets, experiences=experiences, blur=blur, seed=seed)
    assert set(plan.sizes) == {classes_each * per_class}


@given(label_arrays(min_classes=4), st.integers(0, 5))
def test_without_blur_it_is_class_incremental(targets, seed):
    classes = len(np.unique(targets))
    cil = class_incremental(targets, step=classes // 2, remainder="first", seed=seed)
    plan = blurry(targets, experiences=2, blur=0, seed=seed)
    assert (class_counts(targets, plan) == class_counts(targets, cil)).all()


def test_minor_samples_of_cifar_like_data():
    targets = balanced(100, 500)
    plan = blurry(targets, blur=10)
    counts = class_counts(targets, plan)
    assert plan.sizes.tolist() == [10000] * 5
    assert set(counts.max(0)) == {450}
    assert set(np.unique(counts)) == {12, 13, 450}


def test_seeds_and_order():
    targets = balanced(10, 50)
    check_seeds(blurry, targets)
    check_uniform_order(balanced(10, 500), blurry(balanced(10, 500)))
    moved = [set(blurry(targets, seed=seed).experience(0)) for seed in range(2)]
    assert moved[0] != moved[1]


def test_fingerprint_is_the_same_everywhere():
    assert blurry(balanced(10, 50)).fingerprint.startswith("69a61f8c2899b9ce")


def test_class_order_must_name_the_labels():
    with pytest.raises(OptionError, match="class_order"):
        blurry(balanced(4, 5), class_order=[0, 1, 2, 3])
