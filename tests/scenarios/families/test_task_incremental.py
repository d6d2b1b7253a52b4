from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.listing import options
from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.signature import describe
from cl_engine.kinds.validation import resolve
from cl_engine.scenarios.families.class_incremental import class_incremental
from cl_engine.scenarios.families.task_incremental import task_incremental
from tests.scenarios.labels import label_arrays


@given(label_arrays(), st.integers(1, 3), st.sampled_from(["last", "first", "drop"]), st.integers(0, 99))
def test_the_same_stream_as_class_incremental_with_known_tasks(targets, step, remainder, seed):
    options = {"first": 1, "step": step, "remainder": remainder, "seed": seed}
    plan, other = task_incremental(targets, **options), class_incremental(targets, **options)
    assert plan.fingerprint == other.fingerprint
    assert plan.task_identity
    assert not other.task_identity
    assert plan.notes == other.notes


def test_the_same_options_under_its_own_description():
    assert options(task_incremental) == options(class_incremental)
    assert describe(task_incremental) != describe(class_incremental)
    assert resolve("streams", {"kind": "task-incremental", "step": 5})["step"] == 5


def test_the_same_errors():
    with pytest.raises(OptionError, match="does not divide"):
        task_incremental(np.arange(5), step=2)
