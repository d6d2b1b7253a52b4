"""The plan object refuses what no stream may do."""

import os
import subprocess
import sys

import numpy as np
import pytest

from cl_engine.scenarios.plan import PlanError, StreamPlan, exposure_order, plan_of, targets_digest

TARGETS = np.array([7, 7, 9, 9])


def plan(indices, offsets, **traits):
    return StreamPlan(np.array(indices), np.array(offsets), 4, targets_digest(TARGETS), **traits)


@pytest.mark.parametrize(
    ("indices", "offsets"),
    [
        ([0, 1], [0, 1]),
        ([0, 1], [1, 2]),
        ([0, 1], [0, 2, 1, 2]),
        ([0, 4], [0, 2]),
        ([-1], [0, 1]),
        ([0, 0], [0, 2]),
        ([0, 1, 0], [0, 2, 3]),
        ([], [0]),
    ],
)
def test_broken_plans_are_refused(indices, offsets):
    with pytest.raises(PlanError):
        plan(indices, offsets)


def test_repetition_must_be_declared_and_never_inside_an_experience():
    assert plan([0, 1, 0], [0, 2, 3], repeats=True).dropped == 2
    with pytest.raises(PlanError, match="twice"):
        plan([0, 0, 1], [0, 2, 3], repeats=True)


def test_a_plan_cannot_be_changed():
    made = plan([0, 1], [0, 2])
    with pytest.raises(ValueError, match="read-only"):
        made.indices[0] = 3


def test_fingerprint_depends_on_what_is_delivered_and_nothing_else():
    base = plan([0, 1, 2], [0, 2, 3])
    assert base.fingerprint == plan([0, 1, 2], [0, 2, 3], notes=("x",), boundaries=False).fingerprint
    others = [
        plan([0, 1, 2], [0, 1, 3]),
        plan([1, 0, 2], [0, 2, 3]),
        plan([0, 1, 2], [0, 2, 3], labels=np.array([7, 9, 9])),
        plan([0, 1, 2], [0, 2, 3], transforms=({"degrees": 1.0}, {"degrees": 2.0})),
        StreamPlan(np.array([0, 1, 2]), np.array([0, 2, 3]), 4, targets_digest(TARGETS[::-1])),
    ]
    assert len({p.fingerprint for p in [base, *others]}) == 6


def test_fingerprint_is_equal_in_another_process_with_other_threads():
    code = (
        "import numpy as np; from cl_engine.scenarios.families.class_incremental import class_incremental as c;"
        "print(c(np.arange(40) % 10, seed=5).fingerprint)"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "OMP_NUM_THREADS": n, "PYTHONHASHSEED": n},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for n in ("1", "2")
    }
    assert len(prints) == 1


def test_exposure_order_never_renames_a_class():
    """U8: the order of a longer stream begins with the order of a shorter one."""
    targets = np.array([5, 1, 5, 3, 1, 8])
    full = [np.array([2, 1]), np.array([3, 0]), np.array([5, 4])]
    orders = [exposure_order(targets, plan_of(targets, full[:n])).tolist() for n in (1, 2, 3)]
    assert orders == [[5, 1], [5, 1, 3], [5, 1, 3, 8]]


def test_the_class_order_numbers_the_classes_of_one_experience_and_none_of_an_earlier_one():
    targets = np.array([5, 1, 5, 3, 1, 8])
    parts = [np.array([2, 1]), np.array([3, 5, 0]), np.array([4])]
    assert exposure_order(targets, plan_of(targets, parts, class_order=[8, 1, 3, 5])).tolist() == [1, 5, 8, 3]
    assert exposure_order(targets, plan_of(targets, parts, class_order=[3])).tolist() == [5, 1, 3, 8]


def test_a_class_order_that_names_a_label_twice_is_refused():
    with pytest.raises(PlanError, match="no label twice"):
        plan([0, 1], [0, 2], class_order=np.array([7, 7]))


def test_the_fingerprint_does_not_depend_on_how_classes_are_numbered():
    assert plan([0, 2], [0, 2]).fingerprint == plan([0, 2], [0, 2], class_order=np.array([9, 7])).fingerprint
