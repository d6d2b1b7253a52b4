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


LARGE = {  # 10,000 samples an experience, so 500 exemplars are a twentieth of an epoch
    "data": {"kind": "gaussian", "features": 64, "samples_per_class": 5000, "separation": 5.0},
    "stream": {"kind": "class-incremental", "step": 2},
    "training": {"epochs": 3},
}
ONLINE = {"stream.delivery": "online", "stream.micro_batch": 10, "training.updates_per_sample": 0.1}


@pytest.mark.parametrize("delivery", [{}, ONLINE], ids=["offline", "online"])
def test_replay_at_its_defaults_keeps_what_it_learned_where_experiences_are_large(delivery):
    record = cl_engine.run({**LARGE, "strategy": {"kind": "replay", "total": 500}}, **delivery)
    assert record.metrics["last_accuracy"] > 0.8


def test_one_shuffled_set_forgets_where_experiences_are_large_and_equal_parts_do_not():
    joint, balanced = (
        cl_engine.run({**LARGE, "strategy": {"kind": "replay", "total": 500, "mix": mix}})
        for mix in ("joint", "balanced")
    )
    assert balanced.metrics["last_accuracy"] > joint.metrics["last_accuracy"] + 0.15


def test_replay_clearly_beats_finetune_on_a_blurry_online_stream():
    replay, finetune = (cl_engine.run("digits-si-blurry", strategy=s).metrics for s in ("replay", "finetune"))
    assert replay["average_accuracy"] > finetune["average_accuracy"] + 0.2


def test_prd_learns_each_half_and_holds_prototypes_but_no_exemplar():
    record = cl_engine.run({**BASE, "strategy": "prd", "training": {"epochs": 20}})
    kinds = {e["kind"]: e["bytes"] for e in record.memory["entries"][-1] if e["kind"] == "prototypes"}
    assert kinds == {"prototypes": 4 * 10 * 128}
    assert "exemplars" not in {e["kind"] for e in record.memory["entries"][-1]}
    assert record.memory["training_peak"]["teacher"] > 0
    assert record.metrics["learning_accuracy"] > 0.75


def test_weights_that_mattered_move_less_under_ewc():
    masked = {**BASE, "stream": {"kind": "task-incremental", "step": 5}, "training": {"epochs": 10, "lr": 0.02}}
    free, tied = (cl_engine.run({**masked, "strategy": {"kind": "ewc", "strength": s}}) for s in (0.0, 1000.0))
    assert tied.metrics["forgetting"] < free.metrics["forgetting"]
