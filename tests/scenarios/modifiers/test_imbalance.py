from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.modifiers.imbalance import class_counts, imbalance
from tests.scenarios.labels import label_arrays

CIFAR_100 = np.tile(np.arange(100), 500)


def test_long_tailed_cifar_100():
    kept = imbalance(CIFAR_100)
    counts = np.bincount(CIFAR_100[kept])
    assert counts[[0, 1, 50, 99]].tolist() == [500, 477, 48, 5]
    assert counts.sum() == 10_847
    assert (np.diff(counts) <= 0).all()
    assert (np.diff(kept) > 0).all()


def test_step_thins_out_the_second_half():
    counts = np.bincount(CIFAR_100[imbalance(CIFAR_100, profile="step", ratio=0.1)])
    assert counts.tolist() == [500] * 50 + [50] * 50


def test_shuffled_has_the_same_counts_in_other_classes():
    ordered = np.bincount(CIFAR_100[imbalance(CIFAR_100)])
    shuffled = np.bincount(CIFAR_100[imbalance(CIFAR_100, order="shuffled")])
    assert sorted(ordered) == sorted(shuffled)
    assert ordered.tolist() != shuffled.tolist()


def test_the_seed_chooses_the_samples():
    assert imbalance(CIFAR_100, seed=1).tolist() == imbalance(CIFAR_100, seed=1).tolist()
    assert imbalance(CIFAR_100, seed=1).tolist() != imbalance(CIFAR_100, seed=2).tolist()


@given(label_arrays(), st.sampled_from(["longtail", "step"]), st.floats(0.04, 1.0), st.integers(0, 99))
def test_each_class_keeps_its_count_or_all_it_has(targets, profile, ratio, seed):
    values, counts = np.unique(targets, return_counts=True)
    allowed = class_counts(profile, int(counts.max()), ratio, len(values))
    if allowed[-1] < 1:
        with pytest.raises(OptionError, match="ratio"):
            imbalance(targets, profile=profile, ratio=ratio, seed=seed)
        return
    kept = imbalance(targets, profile=profile, ratio=ratio, seed=seed)
    assert np.unique(targets[kept], return_counts=True)[1].tolist() == np.minimum(allowed, counts).tolist()
    assert (np.diff(kept) > 0).all()


@given(label_arrays())
def test_a_ratio_of_one_keeps_everything(targets):
    assert imbalance(targets, ratio=1.0).tolist() == list(range(len(targets)))


@pytest.mark.parametrize("classes", [1, 2, 3, 7])
def test_the_ends_are_exact(classes):
    counts = class_counts("longtail", 1000, 0.01, classes)
    assert counts[0] == 1000
    assert classes == 1 or counts[-1] == 10


def test_a_class_that_would_vanish():
    with pytest.raises(OptionError, match=r"ratio: 0.001 of 500 samples leaves the smallest class none.*0.002"):
        imbalance(CIFAR_100, ratio=0.001)
    assert len(imbalance(CIFAR_100, ratio=0.002))
