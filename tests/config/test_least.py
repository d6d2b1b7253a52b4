"""A budget that no training could keep is refused before any; one that might be kept is not."""

import json

import pytest
import torch

import cl_engine
from cl_engine import ConfigError, MemoryContractError, Scenario, Strategy
from cl_engine.cli.app import _status
from cl_engine.config.least import least_entries
from cl_engine.memory.budget import SAMPLE_KINDS
from cl_engine.scenarios.shipped import find
from tests.strategies.small import every_kind

FAST = {"data": "digits", "training": {"epochs": 1}}


def refusal(scenario, **changes):
    with pytest.raises(ConfigError) as raised:
        cl_engine.run(scenario, **changes)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_the_place_the_first_experience_and_what_would_do_are_told(tmp_path):
    """An mlp of 64-128-128 has 24,832 weights, each class a row of 129 more: 100 KiB are short from six classes on."""
    path = tmp_path / "a.yaml"
    path.write_text("data: digits\nstrategy: finetune\nmemory:\n  budget: 100 KiB\n")
    least = [4 * (24_832 + 129 * classes) for classes in (2, 4, 6, 8, 10)]
    assert least[1] <= 102_400 < least[2]
    what = (
        f"memory.budget: after experience 3 the strategy holds at least {least[2]:,} bytes without one exemplar "
        f"(full policy), {least[2] - 102_400} over the budget of 102,400; allowed: {least[4]:,} bytes or more, its "
        "least after experience 5"
    )
    assert refusal(path, out=tmp_path / "runs") == f"{path}:4:11: {what}"
    assert not (tmp_path / "runs").exists()
    cl_engine.run(path, training={"epochs": 1}, memory={"budget": least[4]})
    refusal(path, memory={"budget": least[4] - 1})


@pytest.mark.parametrize("command", ["check", "run"])
def test_the_commands_end_with_2_and_budget_still_shows_its_table(command, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    options = ["quickstart", "--set", "memory.budget=100 kib"]
    monkeypatch.setattr("sys.argv", ["cl-engine", command, *options])
    assert _status() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(
        "--set 'memory.budget=100 kib': memory.budget: after experience 1 the strategy holds at least"
    )
    assert err.count("\n") == 1
    monkeypatch.setattr("sys.argv", ["cl-engine", "budget", *options])
    assert _status() == 3
    assert "Over the budget after experience 1, 2, 3, 4, 5" in capsys.readouterr().out


def test_check_tells_samples_strategy_and_budget(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["cl-engine", "check", "quickstart", "--set", "memory.policy=paper"])
    assert _status() == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  a sample is uint8 [1, 8, 8]" in lines
    assert any(line.startswith("  strategy g-acil (backbone identity, width 120, gamma 0.1") for line in lines)
    assert "  budget 128 KiB (131,072 bytes) for everything held, under the paper policy" in lines
    monkeypatch.setattr("sys.argv", ["cl-engine", "check", "quickstart", "--json"])
    assert _status() == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["shape"], facts["dtype"]) == ([1, 8, 8], "uint8")


@pytest.mark.parametrize(
    ("strategy", "memory"),
    [
        ("finetune", {"budget": "100 exemplars"}),  # the model is free
        ("finetune", {"budget": "1 KiB", "policy": ["head"], "model_dtype": "int8"}),
        ("finetune", {"budget": "1 KiB", "policy": ["exemplars"]}),
        ("finetune", {"budget": "30 KiB", "model_dtype": "int8"}),
        ("ncm", {"budget": "6 KiB"}),
        ("g-acil", {"budget": "68 B", "policy": "paper"}),
    ],
    ids=str,
)
def test_what_the_budget_does_not_count_or_the_type_makes_small_is_not_refused(strategy, memory):
    strategy = {"kind": strategy, **({"width": 40} if strategy == "g-acil" else {})}
    if strategy["kind"] == "finetune" and "head" in memory.get("policy", ""):
        memory = {**memory, "budget": 10 * (128 + 4) + 10 + 4}  # a scale for each row, and one for the vector
    cl_engine.run({**FAST, "strategy": strategy, "memory": memory})


@pytest.mark.parametrize("model_dtype", ["float32", "int8"])
@pytest.mark.parametrize("kind", every_kind())
def test_what_a_strategy_of_the_package_begins_with_is_held_after_learning(kind, model_dtype):
    """What a budget is refused by: were it to shrink, a run that succeeds would be refused."""
    scenario = Scenario.load({**FAST, "strategy": kind, "memory": {"model_dtype": model_dtype}})
    entries, rebuilder = cl_engine.run(scenario).memory["entries"], scenario.rebuilder(scenario.terms())
    for index, held in enumerate(entries):
        sizes = {entry["name"]: entry["bytes"] for entry in held}
        for entry in least_entries(rebuilder.begun(index + 1), model_dtype):
            assert entry.kind not in SAMPLE_KINDS
            assert entry.bytes <= sizes[entry.name]


class Shrinking(Strategy):
    """Holds a buffer of 40,000 bytes that learning gives up, and weights of 4,000 that it halves."""

    def begin(self, task):
        self.classes = task.seen_classes
        if task.index == 0:
            self.weight = torch.nn.Parameter(torch.zeros(1000))
            self.hold("scratch", torch.zeros(10_000))

    def learn(self, task, samples):
        self.scratch = self.scratch[:0]
        self.half()

    def predict(self, x):
        return torch.zeros(len(x), self.classes)


class Elsewhere(Shrinking):
    """Loads its state in its own way, by which a parameter may be anything."""

    def learn(self, task, samples):
        super().learn(task, samples)
        self.weight = torch.nn.Parameter(self.weight[:1].detach())

    def _load_from_state_dict(self, state_dict, prefix, *args):
        self.weight = torch.nn.Parameter(state_dict[f"{prefix}weight"].float())
        super()._load_from_state_dict(state_dict, prefix, *args)


def test_a_strategy_that_shrinks_what_it_began_with_is_never_refused_wrongly():
    assert (
        cl_engine.run({**FAST, "strategy": Shrinking, "memory": {"budget": 2_000}}).memory["max_held_bytes"]
        == 2_000
    )
    assert "at least 2,000 bytes" in refusal({**FAST, "strategy": Shrinking, "memory": {"budget": 1_999}})
    base = {**FAST, "strategy": Elsewhere, "memory": {"budget": 300}}
    assert cl_engine.run(base).memory["max_held_bytes"] <= 300


def test_what_only_the_data_breaks_is_left_to_the_run():
    with pytest.raises(MemoryContractError, match="after experience 2"):
        cl_engine.run(find("quickstart"), strategy="joint", training={"epochs": 1})


def test_a_thousand_experiences_of_a_growing_network_are_not_all_begun(monkeypatch):
    from cl_engine.strategies.expansion.memo import MEMO

    begun, grow = [], MEMO.begin
    monkeypatch.setattr(MEMO, "begin", lambda self, task: (begun.append(task.index), grow(self, task))[1])
    data = {"kind": "gaussian", "classes": 1000, "features": 4, "samples_per_class": 1, "test_per_class": 1}
    scenario = {"data": data, "stream": {"step": 1}, "strategy": "memo"}
    Scenario.load({**scenario, "memory": {"budget": "10 GiB"}}).check_budget()
    assert max(begun) < 200
    held = [4 * (4 * 128 + 128 + k * (128 * 128 + 128) + k * (128 * k + 1)) for k in (14, 15)]
    assert held[0] <= 2**20 < held[1]
    with pytest.raises(ConfigError, match=f"after experience 15 the strategy holds at least {held[1]:,} bytes"):
        Scenario.load({**scenario, "memory": {"budget": "1 MiB"}}).check_budget()
