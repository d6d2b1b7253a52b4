from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.composition import compose
from cl_engine.scenarios.empty import without_empty
from cl_engine.scenarios.families.class_incremental import class_incremental
from cl_engine.scenarios.families.data_incremental import data_incremental
from cl_engine.scenarios.families.domain_incremental import domain_incremental
from cl_engine.scenarios.families.repetition_slots import repetition_slots
from cl_engine.scenarios.modifiers.drift import drift
from cl_engine.scenarios.modifiers.imbalance import imbalance
from cl_engine.scenarios.modifiers.label_noise import label_noise
from cl_engine.scenarios.modifiers.sizes import sizes
from cl_engine.scenarios.plan import plan_of, targets_digest
from tests.scenarios.labels import label_arrays

TARGETS = np.repeat([3, 17, 1000], [100, 80, 60])
ALL = {
    "label_noise": {"rate": 0.2},
    "sizes": {"alpha": 2.0},
    "drift": {"amplitude": 1.5},
    "imbalance": {"ratio": 0.1},
}


@given(label_arrays(), st.integers(0, 99))
def test_without_modifiers_it_is_the_family(targets, seed):
    plan = compose(targets, data_incremental, {"experiences": 1}, {}, seed)
    assert plan.fingerprint == data_incremental(targets, experiences=1, seed=seed).fingerprint


def test_the_order_of_application_is_fixed():
    kept = imbalance(TARGETS, ratio=0.1, seed=5)
    part = TARGETS[kept]
    step = data_incremental(part, experiences=4, seed=5)
    step = label_noise(
        part, sizes(part, drift(part, step, amplitude=1.5, seed=5), alpha=2.0, seed=5), rate=0.2, seed=5
    )
    for modifiers in (ALL, dict(reversed(ALL.items()))):
        plan = compose(TARGETS, data_incremental, {"experiences": 4}, modifiers, 5)
        assert (plan.indices == kept[step.indices]).all()
        assert (plan.offsets == step.offsets).all()
        assert (plan.labels == step.labels).all()


def test_it_speaks_of_the_whole_data():
    plan = compose(TARGETS, data_incremental, {"experiences": 4}, {"imbalance": {"ratio": 0.1}}, 0)
    assert plan.samples == 240
    assert plan.targets_sha256 == targets_digest(TARGETS)
    assert np.bincount(TARGETS[plan.indices])[[3, 17, 1000]].tolist() == [100, 31, 10]
    assert plan.notes == (f"{plan.dropped} of 240 samples left out by imbalance",)


def test_a_modifier_may_have_its_own_seed():
    plans = [
        compose(TARGETS, data_incremental, {}, {"label_noise": {"seed": noise}}, seed)
        for seed, noise in ((0, 0), (0, 1), (1, 1))
    ]
    assert (plans[0].indices == plans[1].indices).all()
    assert not (plans[0].labels == plans[1].labels).all()
    assert not (plans[1].indices == plans[2].indices).all()
    own = compose(TARGETS, data_incremental, {"seed": 1}, {}, 0)
    assert own.fingerprint == data_incremental(TARGETS, seed=1).fingerprint


def test_errors_name_the_modifier_and_its_option():
    with pytest.raises(OptionError) as caught:
        compose(TARGETS, class_incremental, {"step": 1}, {"imbalance": {"ratio": 0.001}}, 0)
    assert caught.value.option == "imbalance.ratio"
    with pytest.raises(OptionError, match="imbalanse: there is no such modifier, did you mean 'imbalance'"):
        compose(TARGETS, class_incremental, {"step": 1}, {"imbalanse": {}}, 0)


def test_traits_survive():
    plan = compose(TARGETS, domain_incremental, {"samples": "split"}, ALL, 0)
    assert plan.transforms == domain_incremental(TARGETS[:50], samples="split").transforms


EMPTIES = plan_of(TARGETS, [np.arange(3), np.arange(0), np.arange(3, 5), np.arange(0)], labels=np.arange(5))


def test_empty_experiences_are_refused_kept_or_taken_out():
    with pytest.raises(OptionError, match=r"empty: 2 of 4 experiences have no samples \(2, 4\)"):
        without_empty(EMPTIES, "forbid")
    kept = without_empty(EMPTIES, "keep")
    assert kept.fingerprint == EMPTIES.fingerprint
    assert kept.notes == ("empty experiences: 2, 4",)
    dropped = without_empty(EMPTIES, "drop")
    assert dropped.sizes.tolist() == [3, 2]
    assert dropped.indices.tolist() == dropped.labels.tolist() == [0, 1, 2, 3, 4]
    assert dropped.notes == ("empty experiences taken out: 2, 4",)


def test_taking_out_keeps_the_transforms_of_the_rest():
    transforms = tuple({"kind": "permutation", "seed": s} for s in range(3))
    plan = plan_of(TARGETS, [np.arange(0), np.arange(2), np.arange(2, 4)], transforms=transforms)
    assert without_empty(plan, "drop").transforms == transforms[1:]


@pytest.mark.parametrize("modifier", [None, "drift", "label_noise"])
def test_a_stream_that_delivers_nothing_is_refused_as_empty_whatever_modifies_it(modifier):
    options = {"experiences": 7, "classes_per_experience": 1}  # seven parts of two samples: none has one
    modifiers = {modifier: ALL[modifier]} if modifier else {}
    with pytest.raises(OptionError, match="empty: 7 of 7 experiences have no samples"):
        compose(np.array([5, 5]), repetition_slots, options, modifiers, 3)


def test_nothing_empty_changes_nothing():
    plan = data_incremental(TARGETS)
    assert without_empty(plan, "forbid") is plan
    assert without_empty(plan, "drop") is plan


def test_a_stream_without_any_sample_is_refused():
    with pytest.raises(OptionError, match="1 of 1 experiences"):
        without_empty(plan_of(TARGETS, [np.arange(0)]), "drop")


def test_compose_refuses_empty_experiences_unless_told_otherwise():
    def gappy(targets, *, seed):
        return plan_of(targets, [np.arange(len(targets)), np.arange(0)])

    with pytest.raises(OptionError, match="empty"):
        compose(TARGETS, gappy, {}, {}, 0)
    assert len(compose(TARGETS, gappy, {}, {}, 0, empty="keep")) == 2
    assert len(compose(TARGETS, gappy, {}, {}, 0, empty="drop")) == 1
