from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.families.gaussian_schedule import _distinct, gaussian_schedule, truncated_normal
from tests.scenarios.labels import label_arrays

TARGETS = np.tile(np.arange(20), 100)


@given(label_arrays(), st.sampled_from([0.0, 0.01, 0.2, 0.5, 100.0]), st.integers(0, 99))
def test_exact_delivers_every_sample_once_in_equal_parts(targets, sigma, seed):
    experiences = min(4, len(targets))
    plan = gaussian_schedule(targets, sigma=sigma, experiences=experiences, seed=seed)
    assert sorted(plan.indices.tolist()) == list(range(len(targets)))
    assert plan.sizes.max() - plan.sizes.min() <= 1
    assert not plan.boundaries


@given(label_arrays(), st.integers(0, 99))
def test_zero_width_is_the_class_sequence(targets, seed):
    order = np.random.RandomState(seed).permutation(np.unique(targets)).tolist()
    plan = gaussian_schedule(targets, sigma=0.0, experiences=1, class_order=order, seed=seed)
    met = targets[plan.indices]
    assert met[np.flatnonzero(np.diff(met, prepend=-1))].tolist() == order
    assert (np.diff(plan.indices)[np.diff(met) == 0] > 0).all()  # the index breaks ties


def test_the_wider_the_more_mixed():
    def classes_per_experience(sigma):
        plan = gaussian_schedule(TARGETS, sigma=sigma, experiences=20)
        return np.mean([len(np.unique(TARGETS[plan.experience(t)])) for t in range(20)])

    mixing = [classes_per_experience(s) for s in (0.0, 0.02, 0.05, 0.2, 10.0)]
    assert mixing == sorted(mixing)
    assert mixing[0] == 1
    assert mixing[-1] > 19


def test_classes_come_in_the_order_of_their_peaks():
    plan = gaussian_schedule(TARGETS, sigma=0.03)
    met = TARGETS[plan.indices]
    means = [np.flatnonzero(met == c).mean() for c in range(20)]
    assert means == sorted(means)


def test_an_infinite_width_is_a_uniform_shuffle():
    plan = gaussian_schedule(TARGETS, sigma=1e6)
    places = (np.flatnonzero(TARGETS[plan.indices] == 0) + 0.5) / len(TARGETS)
    distance = np.abs(places - (np.arange(100) + 0.5) / 100).max()  # Kolmogorov-Smirnov
    assert distance < 1.95 / 10  # p = 0.001


@pytest.mark.parametrize("sigma", [0.1, 0.49, 0.51, 3.0])
def test_the_truncated_normal_has_its_mean(sigma):
    times = truncated_normal(np.full(100_000, 0.1), sigma, np.random.RandomState(0))
    grid = (np.arange(10_000) + 0.5) / 10_000
    density = np.exp(-(((grid - 0.1) / sigma) ** 2) / 2)
    assert times.min() >= 0
    assert times.max() <= 1
    assert times.mean() == pytest.approx((grid * density).sum() / density.sum(), abs=0.004)


def test_published_includes_twelve_and_a_half_classes_at_a_time():
    targets = np.repeat(np.arange(100), 3)
    plan = gaussian_schedule(targets, variant="published", experiences=200, batch=60)  # all of the included
    classes = [len(np.unique(targets[plan.experience(t)])) for t in range(40, 160)]
    assert plan.sizes.max() <= 300
    assert np.mean(classes) == pytest.approx(np.sqrt(2 * np.pi) * 50 / 10, abs=0.8)
    assert any("shorter" in note for note in plan.notes)


def test_published_draws_steps_times_batch_from_the_included_classes():
    plan = gaussian_schedule(TARGETS, variant="published", experiences=40, steps=4, batch=8, sigma=0.02)
    assert plan.repeats
    assert not plan.boundaries
    assert (plan.sizes == 32).all()
    for t in range(40):
        classes = np.unique(TARGETS[plan.experience(t)])
        assert (np.abs(classes * 8 + 4 - 4 * t) < 6 * 0.02 * 160).all()
    assert f"{plan.dropped} samples are never drawn" in plan.notes[0]


@given(st.integers(1, 60), st.data())
@settings(max_examples=50)
def test_distinct_integers(below, data):
    count = data.draw(st.integers(0, below))
    drawn = _distinct(np.random.RandomState(below), below, count)
    assert len(np.unique(drawn)) == len(drawn) == count
    assert count == 0 or 0 <= drawn.min() <= drawn.max() < below


def test_distinct_integers_are_uniform():
    generator = np.random.RandomState(0)
    seen = np.bincount(np.concatenate([_distinct(generator, 20, 5) for _ in range(2000)]), minlength=20)
    assert (((seen - 500) ** 2) / 500).sum() < 43.8  # 19 degrees of freedom, p = 0.001


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"experiences": 2001}, "experiences: 2001 experiences, but the data has 2000"),
        ({"steps": 3}, "steps: only `variant: published` has it"),
        ({"batch": 3}, "batch: only `variant: published` has it"),
        ({"variant": "published", "experiences": 3}, "experiences: 3 x 5 steps leave no peak"),
        ({"variant": "published", "sigma": 0.0}, "sigma: 0.0 leaves experience 0 without any class"),
        ({"variant": "published", "seed": 2**32}, "seed: `variant: published`"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(OptionError, match=message):
        gaussian_schedule(TARGETS, **options)
