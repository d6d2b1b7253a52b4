"""What a strategy hides from the ledger does not help it."""

import os

import pytest

import cl_engine
import cl_engine.running.isolated
from cl_engine import MemoryContractError
from cl_engine.evaluation.prediction import ContractError
from cl_engine.memory.state import Signature, hold
from tests import hiding

BASE = {
    "data": "digits",
    "stream": {"kind": "class-incremental", "first": 5, "step": 5},
    "training": {"epochs": 5},
}


def last(strategy, audit="rebuild"):
    hiding.MODULE_LEVEL.clear()
    os.environ.pop(hiding.VARIABLE, None)
    record = cl_engine.run({**BASE, "strategy": strategy, "memory": {"audit": audit}})
    return record.accuracy["seen"][-1]


@pytest.fixture(scope="module")
def finetune():
    return last("finetune")


def test_an_attribute_gains_nothing(finetune):
    assert last(hiding.InAttribute) == finetune


def test_a_cached_array_is_gone_before_it_is_evaluated():
    record = cl_engine.run({**BASE, "strategy": hiding.CachesFeatures})
    assert record.memory["max_held_bytes"] == 0
    assert record.accuracy["seen"][-1] == pytest.approx(0.1, abs=0.01)  # always class 0


@pytest.mark.parametrize("strategy", [hiding.InModule, hiding.InClosure, hiding.InEnvironment])
def test_only_a_fresh_process_ends_module_level_hiding(strategy, finetune):
    """The control first: inside one process such a strategy does profit, so the test can tell."""
    assert last(strategy) > finetune + 0.2
    assert last("tests.hiding:" + strategy.__name__, audit="process") == finetune


def test_the_state_of_no_global_generator_carries_anything_over_a_boundary():
    hiding.InGenerators.found.clear()
    last(hiding.InGenerators)
    assert hiding.InGenerators.found == [0, 3, 0, 3]


def test_both_audits_give_the_same_bits(tmp_path):
    runs = {}
    for audit in ("rebuild", "process"):
        scenario = {**BASE, "strategy": {"kind": "replay", "total": 40}, "memory": {"audit": audit}, "name": audit}
        record = cl_engine.run(scenario, out=tmp_path)
        runs[audit] = (record.directory / "checkpoint.safetensors").read_bytes()
        assert record.memory["training_peak_bytes"] > 0
    assert runs["rebuild"] == runs["process"]


def test_state_declared_late_is_held_and_charged():
    record = cl_engine.run({**BASE, "strategy": hiding.DeclaresLate})
    assert record.accuracy["seen"][-1] > 0.95
    kinds = {e["kind"]: e["bytes"] for e in record.memory["entries"][-1]}
    said = b'{"known": ["exemplars", "float32", 1442, 64], "labels": ["labels", "int64", 1442]}'
    assert kinds == {"exemplars": 1442 * 64 * 4, "labels": 1442 * 8, "structure": len(said)}


def test_a_kind_is_a_word_not_a_hiding_place():
    with pytest.raises(ValueError, match="allowed: a short word"):
        cl_engine.run({**BASE, "strategy": hiding.InKind})


def test_names_that_carry_data_are_charged():
    record = cl_engine.run({**BASE, "strategy": hiding.InNames})
    assert record.memory["held_bytes"][0] > 20 * 128


@pytest.mark.parametrize("strategy", [hiding.InShapes, hiding.InOptions, hiding.ChangesType])
def test_shapes_options_and_types(strategy):
    cl_engine.run({**BASE, "strategy": strategy})  # it asserts by itself what it finds


def test_the_ledger_and_the_checkpoint_come_from_one_state():
    strategy = hiding.TwoFaced()
    for _ in range(4):
        held = hold(strategy, Signature({}))
        assert sum(e.bytes for e in held.entries) == sum(
            t.numel() * t.element_size() for t in held.tensors.values()
        )


def test_overwriting_the_test_samples_changes_nothing():
    stream = {"kind": "domain-incremental", "experiences": 2}
    base = {"data": "digits", "stream": stream, "training": {"epochs": 2}}
    assert (
        cl_engine.run(base, strategy=hiding.Overwrites).accuracy
        == cl_engine.run(base, strategy="finetune").accuracy
    )


def test_state_that_begin_does_not_rebuild_is_refused():
    with pytest.raises(MemoryContractError, match=r"GrowsParametersInLearn.begin\(\) does not rebuild .*weight"):
        cl_engine.run({**BASE, "strategy": hiding.GrowsParametersInLearn})


def test_what_is_no_tensor_cannot_be_held():
    with pytest.raises(MemoryContractError, match=r"_extra_state.*is str"):
        cl_engine.run({**BASE, "strategy": hiding.HoldsText})


def test_scores_must_have_one_column_per_seen_class():
    with pytest.raises(ContractError, match=r"allowed: scores \[\d+, 5\]"):
        cl_engine.run({**BASE, "strategy": hiding.WrongScores})


def test_a_strategy_that_a_process_cannot_import_is_refused():
    class Local(hiding.InNames):
        pass

    with pytest.raises(cl_engine.running.isolated.ProcessError, match="can be imported"):
        cl_engine.run({**BASE, "strategy": Local, "memory": {"audit": "process"}})
