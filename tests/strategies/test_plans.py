"""Every strategy holds what its plan says, to the byte, offline and online, also where classes return."""

import pytest

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.kinds.registry import kinds, load
from cl_engine.models.backbones.identity import Identity
from cl_engine.models.backbones.mlp import MLP
from cl_engine.running.planner import over_budget, plan_memory
from tests.strategies.small import every_kind, small

STREAMS = {
    "offline": {"kind": "class-incremental", "step": 5},
    "online": {"kind": "class-incremental", "step": 5, "delivery": "online", "micro_batch": 60},
    "returning": {"kind": "si-blurry", "experiences": 3, "delivery": "online", "micro_batch": 60},
}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("kind", every_kind())
def test_what_is_held_is_what_was_planned(kind, stream):
    check_plan(kind, STREAMS[stream])


@pytest.mark.parametrize("kind", ["bct", "lce", "mixbct"])
def test_what_training_takes_does_not_depend_on_which_labels_share_a_batch(kind):
    check_plan(kind, {"kind": "si-blurry", "experiences": 3})


def check_plan(kind, stream):
    scenario = {
        "data": "digits",
        "stream": stream,
        "strategy": {"kind": kind, **small(kind)},
        "training": {"epochs": 1, "updates_per_sample": 0.1},
    }
    plan, record = plan_memory(Scenario.load(scenario)), cl_engine.run(scenario)
    assert [e["entries"] for e in plan["experiences"]] == record.memory["entries"]
    last = plan["experiences"]
    peak = {name: max(e["training"].get(name, 0) for e in last) for e in last for name in e["training"]}
    assert peak == record.memory["training_peak"]


@pytest.mark.parametrize(
    "kind", [k for k in kinds("strategies") if load("strategies", k).budget_decides == "exemplars"]
)
def test_no_budget_is_so_tight_that_exemplars_break_it(kind):
    scenario = {"data": "digits", "stream": {"step": 5}, "strategy": {"kind": kind, **small(kind)}}
    without = plan_memory(Scenario.load({**scenario, "memory": {"budget": "1 exemplars"}}))
    kinds_of_samples = ("exemplars", "labels", "logits", "structure")
    rest = [
        sum(b for kind, b in e["kinds"].items() if kind not in kinds_of_samples) for e in without["experiences"]
    ]
    plan = plan_memory(Scenario.load({**scenario, "memory": {"budget": max(rest) + 300}}))
    assert over_budget(plan) == []
    assert not any("structure" in e["kinds"] for e in plan["experiences"])


def rows_through_the_backbone(monkeypatch, strategy, samples_per_class):
    """Return how many rows a backbone sees while a plan is made."""
    rows = []
    for backbone in (MLP, Identity):

        def forward(self, x, plainly=backbone.forward):
            rows.append(len(x))
            return plainly(self, x)

        monkeypatch.setattr(backbone, "forward", forward)
    data = {"kind": "gaussian", "classes": 4, "features": 8, "samples_per_class": samples_per_class}
    stream = {"kind": "class-incremental", "step": 2}
    training = {"epochs": 1, "batch_size": 8}
    plan_memory(Scenario.load({"data": data, "stream": stream, "strategy": strategy, "training": training}))
    monkeypatch.undo()
    return sum(rows)


@pytest.mark.parametrize(
    "strategy",
    [
        *every_kind(),
        {"kind": "replay", "backbone": "identity", "codec": "features"},
        {"kind": "er-ace", "selection": "herding"},
    ],
    ids=lambda strategy: "-".join(map(str, strategy.values())),
)
def test_no_plan_looks_at_every_sample(monkeypatch, strategy):
    if isinstance(strategy, str):
        strategy = {"kind": strategy, **small(strategy), "backbone": "mlp"}
    few, many = (rows_through_the_backbone(monkeypatch, strategy, count) for count in (100, 300))
    assert few == many
