from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.families.few_shot import few_shot
from tests.scenarios.labels import label_arrays


def test_cifar_100_base_60_and_8_sessions_of_5_ways_and_5_shots():
    targets = np.tile(np.arange(100), 500)
    plan = few_shot(targets, base=60)
    assert plan.sizes.tolist() == [60 * 500] + [25] * 8
    assert plan.dropped == 40 * 495
    assert plan.notes == ("19800 samples of session classes left out (5 shots each)",)
    order = np.random.RandomState(1993).permutation(100)
    for t in range(1, 9):
        classes, counts = np.unique(targets[plan.experience(t)], return_counts=True)
        assert sorted(order[55 + 5 * t : 60 + 5 * t].tolist()) == classes.tolist()
        assert (counts == 5).all()


@given(label_arrays(min_classes=3, max_classes=9), st.integers(1, 2), st.integers(0, 99))
def test_the_base_is_complete_and_sessions_are_exact(targets, ways, seed):
    values, counts = np.unique(targets, return_counts=True)
    base = len(values) - 2 * (ways if len(values) > 2 * ways else 1)
    ways = (len(values) - base) // 2
    order = values[np.argsort(counts)].tolist()
    shots = int(np.sort(counts)[base])
    plan = few_shot(targets, base=base, ways=ways, shots=shots, class_order=order, seed=seed)
    assert len(plan) == 3
    assert sorted(plan.experience(0).tolist()) == np.flatnonzero(np.isin(targets, order[:base])).tolist()
    assert plan.sizes[1:].tolist() == [ways * shots] * 2


def test_the_shots_depend_on_the_seed():
    targets = np.repeat(np.arange(4), 50)
    kept = [sorted(few_shot(targets, base=2, ways=1, seed=s).experience(1).tolist()) for s in (0, 0, 1)]
    assert kept[0] == kept[1] != kept[2]


def test_nothing_left_out_needs_no_note():
    assert few_shot(np.repeat(np.arange(4), 5), base=2, ways=1).notes == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": 6}, "base: 6 of 6 classes in the base leave no session of 5"),
        ({"base": 9, "ways": 1}, "base: 9 of 6 classes"),
        ({"base": 1, "ways": 2}, "ways: sessions of 2 do not divide the 5 classes"),
        (
            {"base": 4, "ways": 1, "class_order": "natural"},
            "shots: 5 samples asked of every session class, but class 5",
        ),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(OptionError, match=message):
        few_shot(np.repeat(np.arange(6), [9, 9, 9, 9, 9, 1]), **options)


def test_experiences_say_the_ways_of_the_sessions():
    targets = np.repeat(np.arange(10), 6)
    plan = few_shot(targets, base=4, experiences=4, shots=3)
    assert plan.sizes.tolist() == [24, 6, 6, 6]
    assert plan.fingerprint == few_shot(targets, base=4, ways=2, shots=3).fingerprint
    assert few_shot(targets, base=4, ways=2, experiences=4, shots=3).fingerprint == plan.fingerprint
    for wrong in ({"experiences": 5}, {"experiences": 8}, {"ways": 2, "experiences": 3}):
        with pytest.raises(OptionError) as raised:
            few_shot(targets, base=4, shots=3, **wrong)
        assert raised.value.option == "experiences"
