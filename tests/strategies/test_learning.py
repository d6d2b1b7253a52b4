"""The methods against forgetting do forget less, on real digits in two halves."""

import pytest

import cl_engine

BASE = {
    "data": "digits",
    "stream": {"kind": "class-incremental", "step": 5},
    "training": {"epochs": 10},
}


@pytest.fixture(scope="module")
def finetune():
    return cl_engine.run({**BASE, "strategy": "finetune"}).metrics["last_accuracy"]


@pytest.mark.parametrize("kind", ["icarl", "memo", "replay"])
def test_a_hundred_exemplars_save_the_first_half(kind, finetune):
    record = cl_engine.run({**BASE, "strategy": {"kind": kind, "total": 100}})
    assert finetune < 0.55
    assert record.metrics["last_accuracy"] > finetune + 0.25


def test_prd_learns_each_half_and_holds_prototypes_but_no_exemplar():
    record = cl_engine.run({**BASE, "strategy": "prd"})
    kinds = {e["kind"]: e["bytes"] for e in record.memory["entries"][-1] if e["kind"] == "prototypes"}
    assert kinds == {"prototypes": 4 * 10 * 128}
    assert "exemplars" not in {e["kind"] for e in record.memory["entries"][-1]}
    assert record.memory["training_peak"]["teacher"] > 0
    assert record.metrics["learning_accuracy"] > 0.75


def test_weights_that_mattered_move_less_under_ewc():
    masked = {**BASE, "stream": {"kind": "task-incremental", "step": 5}, "training": {"epochs": 10, "lr": 0.02}}
    free, tied = (cl_engine.run({**masked, "strategy": {"kind": "ewc", "strength": s}}) for s in (0.0, 1000.0))
    assert tied.metrics["forgetting"] < free.metrics["forgetting"]
