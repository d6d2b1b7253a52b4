"""The loop end to end: the ledger is the checkpoint, seeds decide everything, references are ordered."""

import json
import random

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

import cl_engine
from cl_engine import MemoryContractError, RunRecord, Scenario

FIVE = {"data": "digits", "training": {"epochs": 8}}
STRATEGIES = [
    "finetune",
    "joint",
    "ncm",
    {"kind": "g-acil", "width": 200},
    {"kind": "replay", "total": 50},
    {"kind": "replay", "selection": "herding", "per_class": 5, "backbone": "convnet2"},
    {"kind": "replay", "selection": "reservoir", "total": 30},
]


class Watcher:
    """Reads the run directory after every experience, as an auditor would."""

    def __init__(self):
        self.seen = []

    def started(self, scenario, directory, done, note):
        self.directory = directory

    def progress(self, text):
        pass

    def finished(self, line):
        tensors = load_file(self.directory / "checkpoint.safetensors")
        on_disk = sum(t.numel() * t.element_size() for t in tensors.values())
        self.seen.append((sum(e["bytes"] for e in line["entries"]), line["held_bytes"], on_disk))


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_ledger_held_bytes_and_checkpoint_are_one_number(strategy, tmp_path):
    watcher = Watcher()
    record = cl_engine.run({**FIVE, "strategy": strategy}, out=tmp_path, reporter=watcher)
    assert len(watcher.seen) == 5
    assert all(a == b == c for a, b, c in watcher.seen)
    assert record.memory["held_bytes"] == [b for _, b, _ in watcher.seen]


def test_replay_beats_finetune_and_joint_beats_both():
    last = {}
    for strategy in ("finetune", "joint", {"kind": "replay", "total": 100}):
        kind = strategy if isinstance(strategy, str) else strategy["kind"]
        last[kind] = cl_engine.run({"data": "digits", "strategy": strategy}).metrics["last_accuracy"]
    assert last["replay"] > last["finetune"] + 0.4
    assert last["joint"] > last["replay"] + 0.01


def test_same_seed_same_bits_whatever_the_global_generators_say(tmp_path):
    scenario = {**FIVE, "strategy": {"kind": "replay", "total": 40}}
    first = cl_engine.run(scenario, out=tmp_path / "a")
    torch.manual_seed(99)
    np.random.seed(99)
    random.seed(99)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    second = cl_engine.run(scenario, out=tmp_path / "b")
    assert (first.directory / "checkpoint.safetensors").read_bytes() == (
        second.directory / "checkpoint.safetensors"
    ).read_bytes()
    assert first.accuracy == second.accuracy
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (np.random.get_state()[1].tolist(), random.getstate())
    other = cl_engine.run(scenario, seed=1)
    assert other.to_dict()["stream"]["fingerprint"] != first.to_dict()["stream"]["fingerprint"]


def test_a_loaded_scenario_can_be_changed_and_keeps_its_objects():
    from cl_engine.data.digits import Digits
    from cl_engine.strategies.prototypes.ncm import NCM

    scenario = Scenario.load({"data": Digits().load(), "strategy": NCM})
    assert cl_engine.run(scenario).metrics == cl_engine.run({"data": "digits", "strategy": "ncm"}).metrics
    changed = Scenario.load(scenario, seed=5)
    assert changed.stream["seed"] == 5
    assert scenario.stream["seed"] == 0
    assert cl_engine.run(scenario, **{"stream.step": 5}).to_dict()["config"]["stream"]["step"] == 5
    assert "step" not in scenario.document.tree.get("stream", {})


def test_derived_seeds_follow_the_root_seed_however_it_is_changed(tmp_path):
    base = {"data": "digits", "strategy": "ncm", "stream": {"kind": "blurry", "imbalance": {"ratio": 0.5}}}
    fresh = Scenario.load(base, seed=1).plan.fingerprint
    assert Scenario.load(Scenario.load(base), seed=1).plan.fingerprint == fresh
    assert Scenario.load(Scenario.load(base).to_dict(), seed=1).plan.fingerprint == fresh
    record = cl_engine.run(base, out=tmp_path)
    assert Scenario.load(record.directory / "config.yaml", ["seed=1"]).plan.fingerprint == fresh


@pytest.mark.parametrize("name", ["1e3", "08", "1.5e3", "true", "null"])
def test_a_config_reads_back_whatever_its_name(tmp_path, name):
    (tmp_path / f"{name}.yaml").write_text("data: digits\nstrategy: ncm\n")
    record = cl_engine.run(tmp_path / f"{name}.yaml", out=tmp_path / "runs")
    assert Scenario.load(record.directory / "config.yaml").name == name


def test_options_that_no_file_can_hold_are_refused():
    with pytest.raises(cl_engine.ConfigError, match="strategy: an option is no plain data"):
        Scenario.load({"data": "digits", "strategy": {"kind": Odd, "thing": object()}})


class Odd(cl_engine.Strategy):
    def __init__(self, *, thing=None):
        super().__init__()


def test_the_plan_ignores_what_is_not_about_the_stream():
    prints = {
        Scenario.load({**FIVE, "strategy": s, **more}).plan.fingerprint
        for s in ("ncm", "finetune")
        for more in ({}, {"training": {"batch_size": 3}}, {"memory": {"budget": "1 MiB"}})
    }
    assert len(prints) == 1


def test_the_record_has_the_promised_keys(tmp_path):
    record = cl_engine.run({**FIVE, "strategy": "ncm"}, out=tmp_path)
    result = json.loads((record.directory / "result.json").read_text())
    assert result == record.to_dict() == RunRecord.load(record.directory).to_dict()
    assert set(result) >= {
        "schema", "name", "id", "status", "seed", "config", "stream", "metrics", "accuracy", "memory", "environment", "seconds",
    }  # fmt: skip
    assert result["schema"] == 1
    assert result["status"] == "done"
    assert set(result["stream"]) >= {"kind", "fingerprint", "experiences"}
    assert set(result["metrics"]) >= {
        "average_accuracy", "last_accuracy", "forgetting", "backward_transfer", "learning_accuracy", "anytime_accuracy",
    }  # fmt: skip
    assert set(result["memory"]) >= {
        "policy", "budget_bytes", "held_bytes", "paper_bytes", "max_held_bytes", "mean_held_bytes", "training_peak_bytes", "entries",
    }  # fmt: skip
    assert set(result["environment"]) >= {"python", "torch", "threads", "device"}
    assert set(result["seconds"]) == {"learn", "predict", "total"}
    experiences = result["stream"]["experiences"]
    assert [e["new_classes"] for e in experiences] == [e["classes"] for e in experiences]
    assert sorted(c for e in experiences for c in e["classes"]) == list(range(10))
    assert result["accuracy"]["curve"][-1][0] == 1442


def test_the_run_directory_recreates_its_run(tmp_path):
    record = cl_engine.run({**FIVE, "strategy": "ncm"}, out=tmp_path)
    again = cl_engine.run(record.directory / "config.yaml", out=tmp_path / "again")
    assert again.metrics == record.metrics
    assert again.directory.name == record.directory.name
    assert yaml.safe_load((record.directory / "config.yaml").read_text())["strategy"]["kind"] == "ncm"


def test_accuracy_is_weighted_by_test_samples_of_seen_classes():
    """The record against predictions made by hand with the same closed form."""
    record = cl_engine.run(
        {"data": "digits", "strategy": "ncm", "stream": {"kind": "class-incremental", "step": 10}}
    )
    from cl_engine.data.digits import Digits

    data = Digits().load()
    x, y = data.train.x.flatten(1).double(), data.train.y
    means = torch.stack([x[y == c].mean(0) for c in range(10)])
    predicted = torch.cdist(data.test.x.flatten(1).double(), means).argmin(1)
    assert record.accuracy["seen"] == [pytest.approx((predicted == data.test.y).double().mean().item())]


@pytest.mark.parametrize("exemplars", ["fill", "fixed"])
@pytest.mark.parametrize("policy", ["full", "paper"])
@pytest.mark.parametrize("budget", ["110 KiB", "140 KiB", "60 exemplars"])
def test_budgets_are_kept_and_used(budget, policy, exemplars):
    options = {"budget": budget, "policy": policy, "exemplars": exemplars}
    record = cl_engine.run({**FIVE, "training": {"epochs": 1}, "strategy": "replay", "memory": options})
    memory = record.memory
    held = memory["held_bytes"] if policy == "full" else memory["paper_bytes"]
    count = [next(e["shape"][0] for e in entries if e["kind"] == "exemplars") for entries in memory["entries"]]
    each = 68 if policy == "full" else 64
    if budget.endswith("exemplars"):
        assert count == [60] * 5
        assert memory["budget_bytes"] == 60 * each
    else:
        available = np.cumsum([e["samples"] for e in record.to_dict()["stream"]["experiences"]])
        for k in range(5):
            assert held[k] <= memory["budget_bytes"]
            short = memory["budget_bytes"] - held[k] >= each
            if exemplars == "fill":
                assert not short or count[k] == available[k]
        if exemplars == "fixed" and count[0] < available[0]:
            assert len(set(count)) == 1
            assert memory["budget_bytes"] - held[-1] < each


def test_a_broken_budget_names_the_entries():
    with pytest.raises(MemoryContractError, match=r"after experience 2: .* over the budget") as raised:
        cl_engine.run({**FIVE, "strategy": "joint", "memory": {"budget": "130 KiB"}})
    assert {"parameters", "head", "exemplars", "labels"} <= {e.kind for e in raised.value.entries}


def test_a_budget_in_exemplars_leaves_the_model_free_but_not_the_samples():
    cl_engine.run({**FIVE, "strategy": "g-acil", "memory": {"budget": "10 exemplars"}})
    with pytest.raises(MemoryContractError, match="exemplars alone"):
        cl_engine.run({**FIVE, "strategy": "joint", "memory": {"budget": "10 exemplars"}})


def test_sparse_labels_and_python_data():
    generator = torch.Generator().manual_seed(0)
    y = torch.tensor([-7, 40, 3]).repeat(20)
    x = torch.randn(60, 5, generator=generator) + y[:, None]
    data = cl_engine.DataSet(cl_engine.Samples(x, y), cl_engine.Samples(x, y))
    stream = {"kind": "class-incremental", "first": 1, "step": 1, "class_order": [40, -7, 3]}
    record = cl_engine.run({"data": data, "strategy": "ncm", "stream": stream})
    assert [e["classes"] for e in record.to_dict()["stream"]["experiences"]] == [[40], [-7], [3]]
    assert record.metrics["last_accuracy"] == 1


def test_what_does_not_fit_the_machine_is_refused_before_it_is_drawn():
    from cl_engine.data.gaussian import Gaussian

    big = Gaussian(classes=100, features=512, samples_per_class=10_000)
    assert len(big.labels().train) == 10**6
    with pytest.raises(cl_engine.kinds.problems.OptionError, match="GiB"):
        Gaussian(classes=10**5, features=10**5, samples_per_class=10**3)
