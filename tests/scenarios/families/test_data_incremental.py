from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.families.data_incremental import data_incremental
from tests.scenarios.labels import label_arrays


@given(label_arrays(), st.integers(1, 12), st.integers(0, 99))
def test_class_counts_and_sizes_differ_by_at_most_one(targets, experiences, seed):
    experiences = min(experiences, len(targets))
    plan = data_incremental(targets, experiences=experiences, seed=seed)
    assert sorted(plan.indices.tolist()) == list(range(len(targets)))
    assert plan.boundaries
    for label in np.unique(targets):
        counts = [int((targets[plan.experience(t)] == label).sum()) for t in range(experiences)]
        assert max(counts) - min(counts) <= 1
    assert plan.sizes.max() - plan.sizes.min() <= 1


def test_every_class_is_in_every_experience():
    targets = np.repeat([3, 17, 1000], [10, 20, 30])
    plan = data_incremental(targets, experiences=10)
    assert all(len(np.unique(targets[plan.experience(t)])) == 3 for t in range(10))


def test_more_experiences_than_samples():
    with pytest.raises(OptionError, match="experiences: 4 experiences, but the data has 3 samples"):
        data_incremental(np.array([1, 2, 3]), experiences=4)
