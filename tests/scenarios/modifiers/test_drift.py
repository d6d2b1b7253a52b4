from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.families.class_incremental import class_incremental
from cl_engine.scenarios.families.data_incremental import data_incremental
from cl_engine.scenarios.families.domain_incremental import domain_incremental
from cl_engine.scenarios.families.task_incremental import task_incremental
from cl_engine.scenarios.modifiers.drift import drift
from cl_engine.scenarios.modifiers.label_noise import label_noise
from tests.scenarios.labels import label_arrays

TWO = np.tile([5, 9], 20_000)
SHAPES = st.sampled_from(["linear", "periodic", "abrupt"])


def log_odds(targets, plan):
    """Log-odds of the class that grows (or swings up first) against the other, one per experience."""
    shares = np.array([(targets[plan.experience(t)] == 5).mean() for t in range(len(plan))])
    odds = np.log(shares / (1 - shares))
    return odds if odds[: len(odds) // 4].sum() < 0 else -odds


@given(label_arrays(), SHAPES, st.floats(0, 10), st.integers(1, 6), st.integers(0, 99))
def test_sizes_and_samples_stay_and_each_class_keeps_its_order(targets, shape, amplitude, experiences, seed):
    plan = data_incremental(targets, experiences=min(experiences, len(targets)))
    moved = drift(targets, plan, shape=shape, amplitude=amplitude, seed=seed)
    assert (moved.offsets == plan.offsets).all()
    assert sorted(moved.indices.tolist()) == sorted(plan.indices.tolist())
    for label in np.unique(targets):
        assert (
            moved.indices[targets[moved.indices] == label] == plan.indices[targets[plan.indices] == label]
        ).all()


@given(label_arrays(), SHAPES, st.integers(0, 99))
def test_no_amplitude_returns_the_plan_itself(targets, shape, seed):
    plan = data_incremental(targets, experiences=1)
    assert drift(targets, plan, shape=shape, amplitude=0.0, seed=seed) is plan
    repeating = domain_incremental(targets, experiences=1)
    assert drift(targets, repeating, amplitude=0.0) is repeating


def test_an_abrupt_drift_turns_the_odds_over_in_the_middle():
    odds = log_odds(TWO, drift(TWO, data_incremental(TWO, experiences=10), shape="abrupt", amplitude=1.0))
    np.testing.assert_allclose(odds, [-2] * 5 + [2] * 5, atol=0.2)  # softmax of -1 and 1


def test_a_linear_drift_moves_the_odds_steadily():
    odds = log_odds(TWO, drift(TWO, data_incremental(TWO, experiences=20), amplitude=1.0))
    assert (np.diff(odds) > 0).all()
    np.testing.assert_allclose(odds[[0, -1]], [-1.9, 1.9], atol=0.2)


def test_a_periodic_drift_swings():
    plan = drift(TWO, data_incremental(TWO, experiences=24), shape="periodic", amplitude=1.0, periods=3)
    signs = np.sign(log_odds(TWO, plan)).reshape(6, 4)
    assert np.abs(signs.sum(axis=1)).tolist() == [4] * 6
    assert (np.diff(signs[:, 0]) != 0).all()


def test_the_more_amplitude_the_more_drift():
    plan = data_incremental(TWO, experiences=4)
    spans = [np.ptp(log_odds(TWO, drift(TWO, plan, amplitude=a))) for a in (0.01, 0.5, 1.0, 2.0)]
    assert spans == sorted(spans)
    assert spans[0] < 0.2


def test_it_blurs_a_stream_of_disjoint_classes():
    targets = np.repeat(np.arange(10), 200)
    plan = drift(targets, class_incremental(targets), amplitude=1.0)
    assert max(len(np.unique(targets[plan.experience(t)])) for t in range(5)) > 2


def test_delivered_labels_move_with_their_samples():
    plan = label_noise(TWO, data_incremental(TWO), rate=0.1)
    moved = drift(TWO, plan)
    wrong = dict(zip(plan.indices.tolist(), plan.labels.tolist(), strict=True))
    assert [wrong[i] for i in moved.indices.tolist()] == moved.labels.tolist()


def test_what_cannot_drift():
    with pytest.raises(OptionError, match="amplitude: the stream delivers samples repeatedly"):
        drift(TWO, domain_incremental(TWO))
    with pytest.raises(OptionError, match="amplitude: the stream tells tasks apart"):
        drift(TWO, task_incremental(TWO))
