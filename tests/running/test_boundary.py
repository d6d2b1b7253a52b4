"""Nothing crosses a boundary but what was held, and nobody else's object is handed out."""

import json

import pytest
import torch

import cl_engine
from cl_engine import MemoryContractError
from cl_engine.config.scenario import Scenario
from cl_engine.running.planner import plan_memory
from tests import hiding

BASE = {
    "data": "digits",
    "stream": {"kind": "class-incremental", "first": 5, "step": 5},
    "training": {"epochs": 5},
}
ONLINE = {
    **BASE,
    "stream": {**BASE["stream"], "delivery": "online", "micro_batch": 20},
    "evaluate": {"every": "200 samples"},
}


def run(strategy, audit="rebuild", base=BASE, **changes):
    hiding.BANK.clear()
    kind = strategy if isinstance(strategy, str) else f"tests.hiding:{strategy.__name__}"
    return cl_engine.run({**base, "strategy": kind, "memory": {"audit": audit}, **changes})


def test_a_bank_that_predict_fills_is_empty_in_the_next_process():
    assert run(hiding.BankInPredict).accuracy["seen"][-1] > 0.9  # the control: within one process it helps
    assert run(hiding.BankInPredict, audit="process").accuracy["seen"][-1] == pytest.approx(0.1, abs=0.01)


def test_test_labels_are_not_in_the_process_that_predicts():
    assert run(hiding.WalksFrames, audit="process").accuracy["seen"][-1] == pytest.approx(0.1, abs=0.01)


def test_what_predict_writes_is_not_committed(tmp_path):
    honest = cl_engine.run({**BASE, "strategy": hiding.DeclaresLate, "name": "a"}, out=tmp_path)
    writing = cl_engine.run({**BASE, "strategy": hiding.WritesWhilePredicting, "name": "b"}, out=tmp_path)
    assert writing.accuracy["seen"] == honest.accuracy["seen"]
    files = [(record.directory / "checkpoint.safetensors").read_bytes() for record in (honest, writing)]
    assert files[0] == files[1]


@pytest.mark.parametrize("strategy", [hiding.HoldsSubclass, hiding.ManyDimensions, hiding.BadType])
def test_only_plain_dense_tensors_of_few_dimensions_are_held(strategy):
    with pytest.raises(ValueError, match=r"cannot hold .*allowed: "):
        run(strategy)


@pytest.mark.parametrize("name", ["__metadata__", "a#scale", "#structure", "\ud800", "a b", "", "x" * 300])
def test_a_name_that_a_checkpoint_cannot_hold_is_refused_at_once(name):
    with pytest.raises(ValueError, match=r"cannot hold .*allowed: letters, digits"):
        hiding.BadName(name=name).learn(None, None)


def test_types_and_dimensions_of_empty_tensors_carry_nothing():
    run(hiding.InEmptyTypes)  # it asserts what it finds


def test_a_shape_that_was_not_declared_is_charged():
    record = run(hiding.InTrailingDimensions)
    kinds = [{e["kind"]: e["bytes"] for e in entries} for entries in record.memory["entries"]]
    said = json.dumps({"sums": ["statistics", "float32", 2, 3, 2]}).encode()
    assert kinds == [{"statistics": 48, "structure": len(said)}, {"statistics": 48}]


@pytest.mark.parametrize("audit", ["rebuild", "process"])
def test_charges_are_never_negative(audit):
    with pytest.raises((ValueError, cl_engine.running.isolated.ProcessError)):
        run(hiding.ChargesLess, audit)


def test_what_a_strategy_writes_into_its_task_and_samples_changes_nothing():
    for base in (BASE, ONLINE):
        honest, writing = run("finetune", base=base), run(hiding.WritesTask, base=base)
        assert writing.accuracy["curve"][0] == honest.accuracy["curve"][0]
        assert writing.memory["training_peak"] == honest.memory["training_peak"]


def test_a_stream_that_hides_its_boundaries_hides_them_in_the_task_too():
    stream = {"kind": "i-blurry", "delivery": "online", "micro_batch": 20}
    run(hiding.LooksAhead, base={**BASE, "stream": stream})


def test_neighbours_of_a_test_sample_tell_nothing_of_its_label():
    honest, asking = run("ncm"), run(hiding.AsksNeighbours)
    assert asking.accuracy["seen"][-1] < honest.accuracy["seen"][-1]


def test_a_ledger_patched_in_a_child_is_not_the_ledger_that_counts():
    honest, patched = (run(s, audit="process") for s in (hiding.DeclaresLate, hiding.PatchesLedger))
    assert patched.memory["held_bytes"] == honest.memory["held_bytes"]
    assert patched.memory["held_bytes"][-1] > 300_000


def test_a_closure_is_no_hiding_place():
    assert run(hiding.KeepsClosure).accuracy["seen"] == run("finetune").accuracy["seen"]


POLICY = {
    "budget": "96 KiB",
    "policy": ["parameters", "head", "exemplars", "labels", "optimizer", "activations", "batch"],
}


@pytest.mark.parametrize("delivery", ["offline", "online"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_plan_and_run_agree_where_the_policy_counts_what_exists_only_while_training(delivery, optimizer):
    scenario = {
        **BASE,
        "stream": {**BASE["stream"], "delivery": delivery},
        "strategy": {"kind": "replay", "backbone": {"kind": "mlp", "width": 16}},
        "memory": POLICY,
        "training": {"epochs": 2, "optimizer": optimizer, "updates_per_sample": 0.5},
    }
    plan, record = plan_memory(Scenario.load(scenario)), cl_engine.run(scenario)
    assert [e["counted_bytes"] for e in plan["experiences"]] == record.memory["counted_bytes"]
    peak = record.memory["training_peak"]
    assert {k for e in plan["experiences"] for k in e["training"]} == set(peak)
    assert {k: max(e["training"].get(k, 0) for e in plan["experiences"]) for k in peak} == peak


def test_fixed_exemplars_cannot_count_what_exists_only_while_training():
    with pytest.raises(cl_engine.ConfigError, match=r"memory.exemplars: fixed cannot count 'optimizer'"):
        Scenario.load({**BASE, "strategy": "replay", "memory": {**POLICY, "exemplars": "fixed"}})


def test_native_half_parameters_are_held_as_they_are():
    class Half(hiding.InNames):
        def begin(self, task):
            super().begin(task)
            if task.index == 0:
                self.weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float16))

        def learn(self, task, samples):
            assert self.weight.dtype == torch.float16

    record = cl_engine.run({**BASE, "strategy": Half, "memory": {"model_dtype": "float16"}})
    assert record.memory["held_bytes"] == [6, 6]


def test_children_keep_environment_and_folder_of_the_start(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    scenario = {**BASE, "strategy": "tests.hiding:DeclaresLate", "memory": {"audit": "process"}}
    for out in (None, "relative/runs"):
        assert cl_engine.run(scenario, out=out).accuracy["seen"][-1] > 0.9


def test_what_a_killed_run_left_in_its_folder_is_removed_by_the_next(tmp_path):
    scenario = {**BASE, "strategy": "ncm", "name": "again"}
    directory = cl_engine.run(scenario, out=tmp_path).directory
    (directory / ".work" / "job").mkdir(parents=True)
    cl_engine.run(scenario, out=tmp_path, resume=True)
    assert not (directory / ".work").exists()


def test_a_state_that_was_edited_to_hold_more_is_refused():
    from cl_engine.memory.state import HeldState, Signature

    signature = Signature.of(torch.nn.Linear(2, 2))
    from safetensors.torch import save

    data = save({"weight": torch.zeros(2, 2), "bias": torch.zeros(2), "more": torch.zeros(9)}, {"secret": "x"})
    with pytest.raises(MemoryContractError, match="more"):
        HeldState.read(data, signature)
    clean = save({"weight": torch.zeros(2, 2), "bias": torch.zeros(2)}, {"secret": "x" * 5000})
    assert b"secret" not in HeldState.read(clean, signature).data


def test_the_ledger_lists_what_a_file_holds_in_one_order_however_it_is_read():
    from cl_engine.memory.state import HeldState, Signature

    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1))
    signature, state = Signature.of(module), module.state_dict()
    forwards = HeldState(state, signature)
    backwards = HeldState(dict(reversed(state.items())), signature)
    assert [e.name for e in forwards.entries] == list(state)
    assert (forwards.entries, forwards.data) == (backwards.entries, backwards.data)


@pytest.mark.parametrize("experiences", [3, 9])
def test_begin_is_called_as_often_however_many_experiences_came_before(experiences):
    begun = []

    class Counts(hiding.DeclaresLate):
        def __init__(self, name: str):  # an option without a default, which a copy is made without
            super().__init__()
            self.name = name

        def begin(self, task):
            begun.append(task.index)
            super().begin(task)

    stream = {"kind": "class-incremental", "first": 10 - experiences + 1, "step": 1}
    cl_engine.run({**BASE, "stream": stream, "strategy": {"kind": Counts, "name": "a"}})
    assert (
        max(begun.count(index) for index in range(1, experiences)) == 2
    )  # the pristine one, and the one that learns
