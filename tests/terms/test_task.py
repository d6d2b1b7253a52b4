"""What a strategy is told, and what it is charged for."""

import pytest
import torch

import cl_engine
from cl_engine import Strategy
from cl_engine.scenarios.exposure import Exposure
from cl_engine.terms.charges import bytes_of
from cl_engine.terms.task import HiddenError, Task
from cl_engine.terms.terms import Terms
from cl_engine.terms.training import Training


def later(**options):
    return Task(1, Exposure((1, 2), (2,), 3), shape=(4,), **options)


def test_what_is_kept_is_made_once_and_charged_once():
    task, made = later(), []
    for _ in range(3):
        task.keep("sums", lambda: made.append(1) or torch.zeros(5))
    assert len(made) == 1
    assert task.transient == {"sums": 20}


def test_a_teacher_is_a_frozen_copy_in_evaluation_mode_and_there_is_none_while_nothing_is_old():
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    first = Task(0, Exposure((0,), (0,), 1), shape=(4,))
    assert first.teacher(module) is None
    assert first.transient == {}
    task = later()
    teacher = task.teacher(module.train())
    with torch.no_grad():
        module[0].weight.zero_()
    assert teacher[0].weight.abs().sum() > 0
    assert task.teacher(module) is teacher
    assert not teacher.training
    assert not any(p.requires_grad for p in teacher.parameters())
    assert task.transient == {"teacher": bytes_of(module)}


def test_hidden_boundaries_hide_the_classes_but_not_how_many_there_are():
    task = later(boundaries=False)
    assert (task.old_classes, task.seen_classes) == (2, 3)
    with pytest.raises(HiddenError, match=r"task.classes.*allowed: task.seen_classes"):
        _ = task.classes


@pytest.mark.parametrize(("amount", "error"), [(-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_charge_is_a_whole_number_of_bytes(amount, error):
    with pytest.raises(error):
        later().charge("x", amount)


def test_terms_go_to_another_process_and_come_back_equal_without_what_is_to_come():
    exposures = (Exposure((0, 1), (0, 1), 2), Exposure((1, 2), (2,), 3))
    terms = Terms(
        exposures, (3, 8, 8), Training(first={"epochs": 3}, augmentation={"crop": 2}), seed=7, online=True
    )
    assert Terms.from_json(terms.to_json()) == terms
    assert terms.until(0).exposures == exposures[:1]


CALLS: list = []


class Counting(Strategy):
    """Notes when it is called."""

    def begin(self, task):
        self.classes = task.seen_classes

    def learn(self, task, samples):
        CALLS.append(("learn", task.index))

    def end(self, task):
        CALLS.append(("end", task.index))

    def predict(self, x):
        return torch.zeros(len(x), self.classes)


@pytest.mark.parametrize(("delivery", "learned"), [("offline", 1), ("online", 8)])
def test_end_is_called_once_after_the_last_delivery(delivery, learned):
    CALLS.clear()
    stream = {"kind": "class-incremental", "step": 5, "delivery": delivery, "micro_batch": 100}
    cl_engine.run({"data": "digits", "stream": stream, "strategy": Counting})
    for index in (0, 1):
        mine = [name for name, at in CALLS if at == index]
        assert mine == ["learn"] * learned + ["end"]


def test_a_loaded_run_predicts_what_was_measured(tmp_path):
    from cl_engine.data.digits import Digits

    record = cl_engine.run({"data": "digits", "strategy": "replay", "training": {"epochs": 2}}, out=tmp_path)
    strategy, test = cl_engine.load(record.directory), Digits().load().test
    order = [label for e in record.to_dict()["stream"]["experiences"] for label in e["new_classes"]]
    with torch.no_grad():
        right = torch.tensor(order)[strategy.predict(test.x).argmax(1)] == test.y
    assert right.float().mean().item() == pytest.approx(record.metrics["last_accuracy"], abs=1e-6)
