from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.families.domain_incremental import domain_incremental
from tests.scenarios.labels import label_arrays

TARGETS = np.repeat([3, 17, 1000], [10, 20, 30])


@given(label_arrays(), st.integers(1, 6), st.sampled_from(["permutation", "rotation"]), st.integers(0, 99))
def test_every_sample_comes_once_under_every_transform(targets, experiences, transform, seed):
    experiences = min(experiences, len(targets))
    plan = domain_incremental(targets, experiences=experiences, transform=transform, seed=seed)
    assert len(plan) == experiences
    for t in range(experiences):
        assert sorted(plan.experience(t).tolist()) == list(range(len(targets)))
    assert len({json.dumps(t, sort_keys=True) for t in plan.transforms}) == experiences


@given(label_arrays(), st.integers(1, 6), st.integers(0, 99))
def test_split_deals_the_samples(targets, experiences, seed):
    experiences = min(experiences, len(targets))
    plan = domain_incremental(targets, experiences=experiences, samples="split", seed=seed)
    assert not plan.repeats
    assert sorted(plan.indices.tolist()) == list(range(len(targets)))
    assert plan.sizes.max() - plan.sizes.min() <= 1


def test_the_first_experience_is_left_as_it_is_under_permutations_only():
    assert domain_incremental(TARGETS).transforms[0] == {"kind": "identity"}
    assert {t["kind"] for t in domain_incremental(TARGETS).transforms[1:]} == {"permutation"}
    turned = domain_incremental(TARGETS, transform="rotation", experiences=20).transforms
    assert all(t["kind"] == "rotation" and 0 <= t["degrees"] < 180 for t in turned)


def test_the_transforms_depend_on_the_seed_alone():
    plan = domain_incremental(TARGETS, seed=4)
    assert plan.transforms == domain_incremental(TARGETS[:20], seed=4).transforms
    assert plan.transforms != domain_incremental(TARGETS, seed=5).transforms
    assert plan.fingerprint != domain_incremental(TARGETS, seed=4, transform="rotation").fingerprint
    assert json.loads(json.dumps(plan.transforms)) == list(plan.transforms)


def test_more_experiences_than_samples():
    with pytest.raises(OptionError, match="61 experiences, but the data has 60 samples"):
        domain_incremental(TARGETS, experiences=61)
