from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.families.linear_decay import linear_decay, task_weights
from tests.scenarios.labels import label_arrays

BETAS = st.one_of(st.sampled_from([0.5, 1.0, 4.0]), st.floats(0.1, 50))


@given(st.integers(1, 8), st.integers(0, 60), BETAS)
def test_the_weights_add_up_and_every_task_gets_some(tasks, more, beta):
    weights = task_weights(tasks, tasks + more, beta)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    assert (weights.sum(axis=1) > 0).all()


def test_the_published_trapezoid():
    weights = task_weights(5, 50, 4.0)  # task length 10, overlap 2 * 2.5 around each boundary
    assert weights[0, :8].tolist() == [1] * 7 + [1]  # begins to fall at floor(7.5)
    np.testing.assert_allclose(weights[0, 7:13], [1, 0.8, 0.6, 0.4, 0.2, 0])
    assert weights[1, 12:18].tolist() == [1] * 6
    assert weights[4, 42:].tolist() == [1] * 8
    assert ((weights > 0).sum(axis=0) <= 2).all()


@given(label_arrays(), st.integers(1, 5), st.integers(0, 20), BETAS, st.integers(0, 99))
def test_every_sample_comes_once(targets, tasks, more, beta, seed):
    tasks = min(tasks, len(np.unique(targets)))
    experiences = min(tasks + more, len(targets))
    plan = linear_decay(targets, tasks=tasks, experiences=experiences, beta=beta, seed=seed)
    assert len(plan) == experiences
    assert sorted(plan.indices.tolist()) == list(range(len(targets)))
    assert not plan.boundaries


def test_the_quotas_follow_the_weights():
    targets = np.repeat(np.arange(10), 1000)
    plan = linear_decay(targets, tasks=5, experiences=50, class_order="natural")
    counts = np.array([np.bincount(targets[plan.experience(t)] // 2, minlength=5) for t in range(50)]).T
    weights = task_weights(5, 50, 4.0)
    assert (np.abs(counts - 2000 * weights / weights.sum(axis=1, keepdims=True)) < 1).all()


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_up_to_one_the_tasks_do_not_overlap(beta):
    targets = np.repeat(np.arange(7), 30)
    plan = linear_decay(targets, tasks=3, experiences=9, beta=beta, class_order="natural")
    classes = [set(targets[plan.experience(t)].tolist()) for t in range(9)]
    assert classes == [{0, 1, 2}] * 3 + [{3, 4}] * 3 + [{5, 6}] * 3  # the first task takes the odd class


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": 5}, "tasks: 5 tasks, but the data has 4 classes"),
        ({"tasks": 3, "experiences": 2}, "experiences: 2 experiences for 3 tasks"),
        ({"tasks": 3, "experiences": 13}, "experiences: 13 experiences, but the data has 12 samples"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(OptionError, match=message):
        linear_decay(np.repeat(np.arange(4), 3), **options)
