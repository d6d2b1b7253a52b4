"""The planner against the run, to the byte: every strategy, codec and stream."""

import json
import subprocess
import sys

import pytest
import torch

import cl_engine
from cl_engine.cli.app import _status
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.running.planner import plan_memory
from tests.running.test_streams import FAMILIES, ONLINE

STRATEGIES = [
    "finetune",
    "joint",
    "ncm",
    {"kind": "g-acil", "width": 40},
    {"kind": "finetune", "backbone": "convnet2"},
    {"kind": "replay", "total": 37},
    {"kind": "replay", "selection": "reservoir"},
    {"kind": "replay", "selection": "herding", "per_class": 7, "quota": "papers"},
    {"kind": "replay", "selection": "ring"},
    {"kind": "replay", "selection": "nearest-mean"},
    {"kind": "replay", "codec": {"kind": "downsample", "factor": 2}, "selection": "herding"},
    {"kind": "replay", "codec": {"kind": "jpeg", "quality": 60}, "selection": "class-balanced"},
    {"kind": "replay", "codec": {"kind": "features", "dtype": "int8"}, "backbone": "identity"},
]
MEMORY = [
    {},
    {"budget": "115 KiB"},
    {"budget": "120 KiB", "exemplars": "fixed", "policy": "paper"},
    {"budget": "50 exemplars", "model_dtype": "int8"},
]


def same(scenario):
    planned = plan_memory(Scenario.load(scenario))["experiences"]
    measured = cl_engine.run(scenario).memory
    assert [e["entries"] for e in planned] == measured["entries"]
    assert [e["held_bytes"] for e in planned] == measured["held_bytes"]
    assert [e["paper_bytes"] for e in planned] == measured["paper_bytes"]


@pytest.mark.parametrize("memory", MEMORY, ids=str)
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_every_strategy_and_codec_holds_what_was_planned(strategy, memory):
    kind = strategy if isinstance(strategy, str) else strategy["kind"]
    if "budget" in memory and kind == "joint":
        memory = {}
    if "budget" in memory and strategy == {"kind": "finetune", "backbone": "convnet2"}:
        memory = {**memory, "budget": "400 KiB"}
    same({"data": "digits", "strategy": strategy, "memory": memory, "training": {"epochs": 1}})


@pytest.mark.parametrize("delivery", [{}, ONLINE], ids=["offline", "online"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_stream_holds_what_was_planned(family, delivery):
    stream = {"kind": family, **FAMILIES[family], **delivery}
    base = {"data": "digits", "stream": stream, "training": {"epochs": 1, "updates_per_sample": 0.1}}
    same({**base, "strategy": {"kind": "replay", "selection": "herding"}, "memory": {"budget": "118 KiB"}})
    same(
        {
            **base,
            "strategy": {"kind": "replay", "codec": "jpeg", "selection": "ring"},
            "memory": {"budget": "118 KiB"},
        }
    )


def test_what_training_takes_is_planned_too():
    scenario = {"data": "digits", "strategy": "replay", "training": {"epochs": 1, "optimizer": "adam"}}
    planned = plan_memory(Scenario.load(scenario))["experiences"]
    measured = cl_engine.run(scenario).memory["training_peak"]
    assert {k: max(e["training"][k] for e in planned) for k in measured} == measured


def test_planning_takes_no_step():
    class Watching(cl_engine.strategies.references.finetune.Finetune):
        def learn(self, task, samples):
            before = [p.clone() for p in self.parameters()]
            super().learn(task, samples)
            assert all(torch.equal(a, b) for a, b in zip(before, self.parameters(), strict=True))

    plan_memory(Scenario.load({"data": "digits", "strategy": Watching}))


def cifar_like(classes=20, per_class=3):
    y = torch.arange(classes).repeat_interleave(per_class)
    samples = cl_engine.Samples(torch.zeros(len(y), 3, 32, 32, dtype=torch.uint8), y)
    return cl_engine.DataSet(samples, samples)


@pytest.mark.parametrize(
    ("backbone", "exemplars"),
    [("resnet32", 7431), ("resnet26", 6165), ("resnet20", 4900), ("resnet14", 3634)],
)
def test_a_budget_aligned_to_der_leaves_the_papers_exemplars(backbone, exemplars):
    """MEMO's CIFAR-100 Base0 Inc10 column: ten networks' worth, one ResNet-32 and exemplars for the rest."""
    scenario = Scenario.load(
        {
            "data": cifar_like(),
            "stream": {"kind": "class-incremental", "step": 2},
            "strategy": {"kind": "replay", "backbone": "resnet32"},
            "memory": {"policy": "paper", "budget": {"aligned_to": "der-expandable", "backbone": backbone}},
        }
    )
    from cl_engine.memory.ledger import ledger

    terms = scenario.terms()
    strategy = scenario.rebuilder(terms).begun(1)
    assert terms.task(0).exemplar_slots(strategy) == exemplars
    assert terms.budget.exemplars(ledger(strategy)) == exemplars


def test_aligned_at_every_stage_nobody_is_ahead():
    base = {
        "data": "digits",
        "strategy": {"kind": "replay", "backbone": "convnet2"},
        "training": {"epochs": 1},
    }
    aligned = {"aligned_to": "memo", "backbone": "convnet2", "exemplars": 100}
    final = cl_engine.run(base, memory={"budget": aligned}).memory
    staged = cl_engine.run(base, memory={"budget": {**aligned, "align": "every-experience"}}).memory
    assert final["limits"] == [final["budget_bytes"]] * 5
    assert staged["limits"] == staged["reference_bytes"] == final["reference_bytes"]
    assert staged["limits"] == sorted(staged["limits"])
    assert staged["limits"][-1] == final["budget_bytes"]
    for memory in (final, staged):
        assert all(held <= limit for held, limit in zip(memory["counted_bytes"], memory["limits"], strict=True))
    assert staged["held_bytes"][0] < final["held_bytes"][0]


def test_a_policy_may_be_a_list_of_kinds():
    base = {"data": "digits", "strategy": "replay", "training": {"epochs": 1}}
    counted = ["parameters", "exemplars", "optimizer"]
    record = cl_engine.run(base, memory={"policy": counted, "budget": "250 KiB"})
    memory = record.memory
    for line, entries in zip(memory["counted_bytes"], memory["entries"], strict=True):
        held = sum(e["bytes"] for e in entries if e["kind"] in counted)
        assert line == held + memory["training_peak"]["optimizer"] - 4 * 129 * 2 * (
            len(memory["entries"]) - 1 - memory["entries"].index(entries)
        )
        assert line <= memory["budget_bytes"]
    odd = cl_engine.run(base, memory={"policy": ["teacher", "exemplars"]})
    assert any("'teacher', which nothing was" in note for note in odd.to_dict()["notes"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8"])
def test_the_model_is_held_in_a_smaller_type_and_evaluated_as_held(dtype, tmp_path):
    from safetensors.torch import load_file

    base = {"data": "digits", "strategy": {"kind": "finetune", "backbone": "convnet2"}, "training": {"epochs": 2}}
    base["stream"] = {"kind": "class-incremental", "step": 5}
    full = cl_engine.run(base)
    small = cl_engine.run(base, memory={"model_dtype": dtype}, out=tmp_path)
    ratio = small.memory["held_bytes"][-1] / full.memory["held_bytes"][-1]
    assert ratio < {"float16": 0.51, "bfloat16": 0.51, "int8": 0.28}[dtype]
    tensors = load_file(small.directory / "checkpoint.safetensors")
    assert tensors["network.head.weight"].dtype == getattr(torch, dtype)
    assert sum(t.numel() * t.element_size() for t in tensors.values()) == small.memory["held_bytes"][-1]
    assert small.accuracy["seen"][0] == pytest.approx(full.accuracy["seen"][0], abs=0.05)


def test_int8_keeps_every_row_within_half_a_step():
    from cl_engine.memory.compression import pack, packed_entries, unpack
    from cl_engine.memory.ledger import ledger

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Linear(8, 4))
    module[2].weight = torch.nn.Parameter(torch.empty(0, 8))  # a head before its first class
    entries = ledger(module)
    packed = pack(module.state_dict(), entries, "int8")
    assert sum(t.numel() * t.element_size() for t in packed.values()) == sum(
        e.bytes for e in packed_entries(entries, "int8")
    )
    back = unpack(packed, {name: tensor.dtype for name, tensor in module.state_dict().items()})
    weight = module.state_dict()["0.weight"]
    step = weight.flatten(1).abs().amax(1) / 127
    assert ((back["0.weight"] - weight).abs().flatten(1) <= step[:, None] / 2 + 1e-7).all()
    assert back["1.num_batches_tracked"].dtype == torch.int64
    again = pack(back, entries, "int8")
    assert all(torch.equal(packed[n], again[n]) for n in packed if packed[n].dtype == torch.int8)


def test_the_command():
    def budget(*arguments):
        command = [sys.executable, "-m", "cl_engine", "budget", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    done = budget("quickstart", "--set", "strategy=replay", "--json")
    plan = json.loads(done.stdout)
    assert [e["exemplars"] for e in plan["experiences"]] == [287, 436, 420, 405, 389]
    assert done.returncode == 0
    over = budget("quickstart", "--set", "strategy=joint")
    text = over.stdout
    assert over.returncode == 3
    assert over.stderr == ""
    assert (
        "Over the budget after experience 2, 3, 4, 5: a run is refused at once where that is certain, and else stops there."
        in text
    )
    assert "worth in exemplars" in text
    assert budget().returncode == 2
    assert "Exit status 3 where that goes over the budget" in budget("--help").stdout


@pytest.mark.parametrize(("limit", "status"), [("198 KiB", 0), ("197 KiB", 3), ("null", 0)])
def test_the_command_ends_as_the_run_would_and_prints_its_plan_all_the_same(limit, status, monkeypatch, capsys):
    options = ["--set", "strategy=joint", "--set", f"memory.budget={limit}"]
    monkeypatch.setattr("sys.argv", ["cl-engine", "budget", "quickstart", "--json", *options])
    assert _status() == status
    held = [e["held_bytes"] for e in json.loads(capsys.readouterr().out)["experiences"]]
    assert 197 * 1024 < held[-1] <= 198 * 1024


@pytest.mark.parametrize(
    ("memory", "complaint"),
    [
        (
            {"budget": {"aligned_to": "der"}},
            r"memory\.budget\.aligned_to: got 'der'; allowed: single, der-expandable",
        ),
        ({"budget": {}}, r"option 'aligned_to' is missing"),
        (
            {"budget": {"aligned_to": "memo", "backbone": "resnet33"}},
            r"memory\.budget\.backbone\.kind: there is no",
        ),
        ({"policy": []}, r"memory\.policy: counts nothing"),
        ({"policy": "half"}, r"memory\.policy: got 'half'; allowed: full, paper or a list"),
        ({"model_dtype": "int4"}, r"memory\.model_dtype: got 'int4'"),
    ],
)
def test_wrong_memory_options(memory, complaint):
    with pytest.raises(ConfigError, match=complaint):
        Scenario.load({"data": "digits", "strategy": "finetune", "memory": memory})
