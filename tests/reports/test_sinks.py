import sys
import types

import pytest

from cl_engine.cli.status import exit_status
from cl_engine.engine import run
from cl_engine.errors import InputError
from cl_engine.reports.sinks import Several, TensorBoard, WandB, scalars, sink

SCENARIO = {"data": "digits", "stream": {"step": 5}, "strategy": "ncm"}


class Fake(types.ModuleType):
    """wandb, as far as it is used."""

    def __init__(self):
        super().__init__("wandb")
        self.begun, self.logged, self.ended = [], [], 0

    def init(self, **options):
        self.begun.append(options)
        return self

    def log(self, values, step):
        self.logged.append((step, values))

    def finish(self):
        self.ended += 1


@pytest.fixture
def wandb(monkeypatch):
    fake = Fake()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def test_weights_and_biases_get_every_experience_under_the_runs_own_id(wandb, tmp_path):
    reporter = Several(WandB())
    record = run(SCENARIO, out=tmp_path, reporter=reporter)
    reporter.close()
    (begun,) = wandb.begun
    assert begun["id"] == record.directory.name
    assert begun["resume"] == "allow"
    assert begun["dir"] == str(record.directory)
    assert [step for step, _ in wandb.logged] == [1, 2]
    assert [values["accuracy"] for _, values in wandb.logged] == record.accuracy["seen"]
    assert [values["held_bytes"] for _, values in wandb.logged] == record.memory["held_bytes"]
    assert wandb.ended == 1


def test_seeds_of_one_scenario_are_one_group(wandb):
    for seed in (0, 1):
        run(SCENARIO, reporter=WandB(), seed=seed)
    assert len({begun["group"] for begun in wandb.begun}) == 1
    assert len({begun["id"] for begun in wandb.begun}) == 2


def test_event_files_hold_what_the_record_holds(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    reporter = Several(TensorBoard())
    record = run(SCENARIO, out=tmp_path, reporter=reporter)
    reporter.close()
    events = accumulator.EventAccumulator(str(record.directory / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("accuracy")] == [1, 2]
    assert [e.value for e in events.Scalars("accuracy")] == pytest.approx(record.accuracy["seen"])


@pytest.mark.parametrize("name", ["wandb", "tensorboard"])
def test_a_sink_that_is_not_installed_is_one_line(monkeypatch, capsys, name):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert exit_status(lambda: sink(name)) == 2
    assert capsys.readouterr().err == f"cl-engine: --log {name} needs it: pip install {name}\n"


def test_an_unknown_sink_is_one_line():
    with pytest.raises(InputError, match="no such sink; allowed: tensorboard, wandb"):
        sink("mlflow")


def test_before_the_first_class_there_is_no_accuracy_to_log():
    line = {"accuracy": None, "held_bytes": 1, "paper_bytes": 1, "transient": {}, "seconds": {"total": 1.0}}
    assert "accuracy" not in scalars(line)
