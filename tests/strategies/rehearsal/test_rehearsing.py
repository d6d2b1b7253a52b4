"""What all rehearsing methods keep to: their contract where classes return, budgets, plans, codecs."""

import pytest

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.kinds.registry import load
from cl_engine.running.planner import plan_memory
from cl_engine.testing import check_strategy

REHEARSING = ["er-ace", "er-aml", "dark-er", "mir", "a-gem", "gdumb"]
STREAM = {"kind": "class-incremental", "step": 5}


@pytest.mark.parametrize("kind", REHEARSING)
def test_the_contract_is_kept_where_classes_return(kind):
    options = {"total": 12, "backbone": {"kind": "mlp", "width": 8, "depth": 1}}
    if kind == "gdumb":
        options["passes"] = 2
    check_strategy(load("strategies", kind), on=("repeating-classes",), **options)


@pytest.mark.parametrize("policy", ["full", ["parameters", "head", "exemplars", "labels", "logits", "gradients"]])
@pytest.mark.parametrize("kind", REHEARSING)
def test_a_budget_is_filled_and_never_exceeded_whatever_counts(kind, policy):
    scenario = {
        "data": "digits",
        "stream": STREAM,
        "strategy": {"kind": kind, **({"passes": 1} if kind == "gdumb" else {})},
        "memory": {"budget": "260 KiB", "policy": policy},
        "training": {"epochs": 1},
    }
    plan, memory = plan_memory(Scenario.load(scenario)), cl_engine.run(scenario).memory
    assert [e["entries"] for e in plan["experiences"]] == memory["entries"]
    assert max(memory["held_bytes"]) <= 260 * 1024
    exemplars = [sum(e["shape"][0] for e in entries if e["kind"] == "labels") for entries in memory["entries"]]
    assert all(count > 200 for count in exemplars)


@pytest.mark.parametrize(
    ("kind", "codec"),
    [*((kind, "features") for kind in REHEARSING[:-1]), ("er-ace", "jpeg"), ("dark-er", "jpeg"), ("a-gem", "jpeg")],
)
def test_what_is_planned_is_what_is_taken_with_encoded_exemplars_too(kind, codec):
    scenario = {
        "data": "digits",
        "stream": STREAM,
        "strategy": {"kind": kind, "codec": codec, "backbone": "identity", "total": 20},
        "training": {"epochs": 1},
    }
    plan, memory = plan_memory(Scenario.load(scenario)), cl_engine.run(scenario).memory
    assert [e["entries"] for e in plan["experiences"]] == memory["entries"]
    experiences = plan["experiences"]
    peak = {n: max(e["training"].get(n, 0) for e in experiences) for e in experiences for n in e["training"]}
    assert peak == memory["training_peak"]
