import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.scenarios.families.class_incremental import class_incremental, ordered_labels
from cl_engine.scenarios.families.i_blurry import i_blurry
from tests.scenarios.invariants import check_plan, check_seeds, check_uniform_order, class_counts
from tests.scenarios.labels import balanced, label_arrays

percent = st.integers(0, 100)


@given(label_arrays(), st.integers(1, 8), percent, percent, st.integers(0, 5))
def test_disjoint_classes_are_whole_and_the_pool_is_dealt_equally(targets, experiences, disjoint, blur, seed):
    plan = i_blurry(targets, experiences=experiences, disjoint_percent=disjoint, blurry_percent=blur, seed=seed)
    check_plan(targets, plan)
    assert plan.dropped == 0
    assert plan.boundaries is False

    counts = class_counts(targets, plan)
    labels, totals = np.unique(targets, return_counts=True)
    runs = np.array_split(ordered_labels(targets, 1993), experiences)
    whole = np.array_split(np.arange(len(labels) * disjoint // 100), experiences)
    received = plan.sizes.copy()
    for t, (run, first) in enumerate(zip(runs, whole, strict=True)):
        for position, c in enumerate(np.searchsorted(labels, run)):
            leaving = 0 if position < len(first) else (totals[c] * blur + 50) // 100
            assert counts[t, c] >= totals[c] - leaving
            received[t] -= totals[c] - leaving
    assert received.max() - received.min() <= 1


@given(label_arrays(min_classes=4), percent, st.booleans(), st.integers(0, 5))
def test_with_nothing_blurred_it_is_class_incremental(targets, other, all_disjoint, seed):
    options = {"disjoint_percent": 100 if all_disjoint else other, "blurry_percent": other if all_disjoint else 0}
    classes = len(np.unique(targets))
    cil = class_incremental(targets, step=classes // 2, remainder="first", seed=seed)
    plan = i_blurry(targets, experiences=2, seed=seed, **options)
    assert (class_counts(targets, plan) == class_counts(targets, cil)).all()


def test_home_fraction_and_sizes_of_cifar_like_data():
    targets = balanced(100, 500)
    for experiences, blur in [(5, 10), (5, 50), (10, 10)]:
        plan = i_blurry(targets, experiences=experiences, blurry_percent=blur)
        assert plan.sizes.tolist() == [50000 // experiences] * experiences
        home = class_counts(targets, plan).max(0)
        assert (home == 500).sum() >= 50  # the disjoint classes
        moved = blur / 100
        expected = 1 - moved + moved / experiences
        blurred = np.sort(home)[:50].sum() / (50 * 500)
        deviation = np.sqrt(moved * (1 / experiences) * (1 - 1 / experiences) / (50 * 500))
        assert abs(blurred - expected) < 5 * deviation


def test_the_pool_is_dealt_at_random():
    counts = class_counts(balanced(100, 500), i_blurry(balanced(100, 500)))
    minor = counts[(counts > 0) & (counts < 400)]
    # 50 pooled samples of a class over 5 experiences; the published files hold 4 to 17 of them.
    assert 1 <= minor.min() <= 5
    assert 16 <= minor.max() <= 24


def test_every_run_has_its_disjoint_classes():
    counts = class_counts(balanced(100, 500), i_blurry(balanced(100, 500)))
    assert ((counts == 500).sum(1) == 10).all()
    assert ((counts >= 400).sum(1) == 20).all()


def test_seeds_and_order():
    check_seeds(i_blurry, balanced(10, 50))
    check_uniform_order(balanced(10, 500), i_blurry(balanced(10, 500)))


def test_fingerprint_is_the_same_everywhere():
    assert i_blurry(balanced(10, 50)).fingerprint.startswith("95caccffda193988")
