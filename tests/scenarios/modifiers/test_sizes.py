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
from cl_engine.scenarios.modifiers.sizes import sizes
from cl_engine.scenarios.plan import plan_of
from tests.scenarios.labels import label_arrays

TARGETS = np.repeat(np.arange(10), 100)


@given(
    label_arrays(),
    st.sampled_from(["dirichlet", "zipf"]),
    st.floats(0.05, 100),
    st.integers(1, 6),
    st.integers(0, 99),
)
def test_the_order_stays_and_the_total_is_exact(targets, distribution, alpha, experiences, seed):
    plan = data_incremental(targets, experiences=min(experiences, len(targets)))
    cut = sizes(targets, plan, distribution=distribution, alpha=alpha, seed=seed)
    assert (cut.indices == plan.indices).all()
    assert len(cut) == len(plan)
    assert cut.sizes.sum() == len(targets)
    assert cut.sizes.min() >= 1


def test_a_large_alpha_is_balanced_and_a_small_one_is_not():
    plan = data_incremental(TARGETS, experiences=10)
    assert np.abs(sizes(TARGETS, plan, alpha=1e6).sizes - 100).max() <= 1
    assert sizes(TARGETS, plan, alpha=0.1).sizes.max() > 400


def test_zipf_sizes():
    plan = data_incremental(TARGETS, experiences=4)
    cut = sizes(TARGETS, plan, distribution="zipf", alpha=1.0)
    shares = np.array([1, 1 / 2, 1 / 3, 1 / 4])
    assert np.abs(np.sort(cut.sizes)[::-1] - 1 - 996 * shares / shares.sum()).max() < 1
    orders = {tuple(np.argsort(sizes(TARGETS, plan, distribution="zipf", seed=s).sizes)) for s in range(20)}
    assert len(orders) > 5


def test_a_cut_class_incremental_stream_delivers_classes_in_the_old_order():
    plan = class_incremental(TARGETS)
    cut = sizes(TARGETS, plan, alpha=0.5)
    assert cut.sizes.tolist() != plan.sizes.tolist()
    assert TARGETS[cut.indices].tolist() == TARGETS[plan.indices].tolist()


def test_what_cannot_be_cut():
    for plan, message in (
        (domain_incremental(TARGETS), "repeatedly"),
        (task_incremental(TARGETS), "task identity"),
        (plan_of(TARGETS, [np.arange(1), np.arange(0)]), "1 samples for 2 experiences"),
    ):
        with pytest.raises(OptionError, match=message):
            sizes(TARGETS, plan)
