"""What people get wrong in a first strategy is told in one line, under both audits, before or when it matters."""

import pytest
import torch

import cl_engine
from cl_engine.config.scenario import ConfigError
from cl_engine.evaluation.prediction import ContractError
from cl_engine.running.isolated import ProcessError
from cl_engine.strategies.strategy import check_methods
from cl_engine.testing import BrokenContract, check_strategy
from tests import mistaken

BASE = {"data": "digits", "stream": {"kind": "class-incremental", "first": 4, "step": 3}}
AUDITS = ["rebuild", "process"]


def run(strategy, audit="rebuild", **changes):
    return cl_engine.run({**BASE, "strategy": strategy, "memory": {"audit": audit}, **changes})


def line(error, kind, *args, **changes):
    """Return the one line that a run ends with."""
    with pytest.raises(kind) as caught:
        run(*args, **changes)
    assert caught.value.status == error
    (only,) = str(caught.value).splitlines()
    return only


@pytest.mark.parametrize("audit", AUDITS)
def test_nan_scores_are_counted_and_end_the_run(audit):
    told = line(3, ContractError, mistaken.DividesByZero, audit)
    assert "DividesByZero.predict() returned NaN in 2 of 568 scores, evaluated after experience 1;" in told
    assert "division by zero" in told


def test_infinite_scores_are_compared_as_numbers():
    accuracy = run(mistaken.Infinite).accuracy["matrix"][-1]
    assert 0.2 < accuracy[0] < 0.3  # one class of the first four is right
    assert accuracy[1:] == [0, 0]


@pytest.mark.parametrize("audit", AUDITS)
@pytest.mark.parametrize(
    ("strategy", "method"),
    [
        (mistaken.SetsWeights, "predict"),
        (mistaken.SetsWeightsAfterNone, "predict"),
        (mistaken.FillsDict, "predict"),
        (mistaken.CountsInLearn, "learn"),
        (mistaken.CountsInBegin, "begin"),
    ],
)
def test_state_that_learn_set_and_nobody_holds_is_named_when_it_is_missed(strategy, method, audit):
    told = line(3, ContractError, strategy, audit)
    assert told == (
        f"{strategy.__name__}.{method}() reads self.w, which learn() set but did not hold: self.hold('w', ...)"
    )


def test_it_is_named_within_an_experience_too():
    stream = {**BASE["stream"], "delivery": "online", "micro_batch": 100}
    told = line(3, ContractError, mistaken.SetsWeights, stream=stream, evaluate={"every": "200 samples"})
    assert "reads self.w" in told


def test_an_attribute_that_nobody_ever_set_stays_the_authors_own_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        run(mistaken.ReadsWhatNobodySet)


def test_an_error_of_the_authors_own_keeps_its_traceback(capfd):
    with pytest.raises(ValueError, match="a bug of its own"):
        run(mistaken.Raises)
    with pytest.raises(ProcessError, match="learn experience 1 failed: ValueError: a bug of its own"):
        run(mistaken.Raises, "process")
    assert "mistaken.py" in capfd.readouterr().err


@pytest.mark.parametrize("audit", AUDITS)
def test_what_is_lost_without_an_error_is_noted_once_by_name(audit):
    notes = run(mistaken.Forgets, audit).to_dict()["notes"]
    assert all(note.startswith("experience 1: ") for note in notes)
    about = [note.removeprefix("experience 1: ").partition(":")[0] for note in notes]
    lost = "learn() set self.{} ({}) but did not hold it, so it is gone at the boundary"
    assert sorted(about) == sorted(
        [
            "holds 0 bytes",
            lost.format("in_place", "Tensor"),
            lost.format("counts", "ndarray"),
            lost.format("bias", "Tensor"),
            "self.layers is a list of modules",
            "self.parts is a dict of modules",
        ]
    )


def test_a_resumed_run_does_not_repeat_what_was_noted(tmp_path):
    class Stop(BaseException):
        pass

    class Stops:
        def started(self, *args):
            pass

        progress = started

        def finished(self, line):
            raise Stop

    scenario = {**BASE, "strategy": mistaken.Forgets}
    with pytest.raises(Stop):
        cl_engine.run(scenario, out=tmp_path, reporter=Stops())
    resumed = cl_engine.run(scenario, out=tmp_path, resume=True)
    assert resumed.to_dict()["notes"] == run(mistaken.Forgets).to_dict()["notes"]


@pytest.mark.parametrize("kind", ["finetune", "joint", "replay", "icarl", "ewc", "memo", "g-acil", "ncm", "prd"])
def test_a_shipped_strategy_loses_nothing(kind):
    record = run(kind, training={"epochs": 1})
    assert not [note for note in record.to_dict()["notes"] if "hold" in note]


@pytest.mark.parametrize(
    ("strategy", "blamed"),
    [
        (mistaken.NoSuper, "NoSuper"),
        (mistaken.NoSuperBeforeModule, "NoSuperBeforeModule"),
        (mistaken.NoSuperBeforeHold, "NoSuperBeforeHold"),
        (mistaken.LateSuper, "LateSuper"),
        (mistaken.HasPart, "Part"),
    ],
)
def test_a_forgotten_super_init_is_found_before_anything_runs(strategy, blamed):
    told = line(2, ConfigError, strategy)
    assert told.endswith(f"{blamed}.__init__() does not call super().__init__(); allowed: call it first")


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        (mistaken.NoPredict, "NoPredict has no predict(); allowed: a subclass with def predict(self, x)"),
        (mistaken.NoLearn, "NoLearn has no learn(); allowed: a subclass with def learn(self, task, samples)"),
        (
            mistaken.LearnsWithoutTask,
            "LearnsWithoutTask.learn(self, samples) cannot be called as learn(task, samples)",
        ),
    ],
)
def test_a_method_that_is_missing_or_takes_something_else_is_found_before_anything_runs(strategy, told):
    assert told in line(2, ConfigError, strategy)
    assert told in line(2, ConfigError, strategy())
    assert told in line(2, ConfigError, f"tests.mistaken:{strategy.__name__}")


def test_methods_may_be_decorated_or_static():
    class Free(mistaken.Guess):
        @torch.no_grad()
        def learn(self, *args):
            pass

        @staticmethod
        def predict(x):
            return x

    check_methods(Free)


def test_an_annotation_that_cannot_be_resolved_is_one_line():
    class Odd(mistaken.Guess):
        def __init__(self, x: "Undefined" = 1):  # noqa: F821
            super().__init__()

    for strategy in (Odd, Odd()):
        told = line(2, ConfigError, strategy)
        assert "the annotations of" in told
        assert "name 'Undefined' is not defined" in told


def test_the_check_for_authors_names_modules_in_a_list():
    with pytest.raises(BrokenContract, match=r"self\.layers is a list of modules: not registered"):
        check_strategy(mistaken.Forgets)
