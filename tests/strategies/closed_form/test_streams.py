"""The closed-form learners in whole runs: any stream, to the digit; what is planned; hidden boundaries."""

import pytest

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.kinds.registry import load
from cl_engine.running.planner import plan_memory
from cl_engine.testing import check_strategy
from tests.strategies.closed_form.streams import learned, projection, saved

KINDS = ["acil", "g-acil", "gkeal", "ds-al", "ranpac", "air", "f-oal", "aef-ocl"]
ONLINE = {"delivery": "online", "micro_batch": 50}
STREAMS = [
    {"kind": "class-incremental", "step": 2, "class_order": 1993},
    {"kind": "class-incremental", "first": 4, "step": 3, "class_order": "natural", **ONLINE},
    {"kind": "data-incremental", "experiences": 3},
    {"kind": "i-blurry", "experiences": 4, **ONLINE},
    {"kind": "gaussian-schedule", "experiences": 4},
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_contract_holds_where_boundaries_are_hidden_and_classes_return(kind):
    check_strategy(load("strategies", kind), on=("hidden-boundaries", "features", "repeating-classes"), width=20)


@pytest.mark.parametrize("kind", ["slda", "lda", "ncm"])
def test_the_contract_holds_for_discriminants_too(kind):
    check_strategy(load("strategies", kind), on=("hidden-boundaries", "features", "repeating-classes"))


@pytest.mark.parametrize(
    "strategy", [{"kind": "g-acil", "width": 100}, {"kind": "air", "width": 60}, {"kind": "lda"}]
)
def test_the_last_accuracy_is_the_same_on_every_stream_of_the_same_samples(strategy):
    scenarios = [Scenario.load({"data": "digits", "stream": stream, "strategy": strategy}) for stream in STREAMS]
    assert len({int(scenario.plan.sizes.sum()) for scenario in scenarios}) == 1
    runs = [cl_engine.run(scenario) for scenario in scenarios]
    assert len({run.metrics["last_accuracy"] for run in runs}) == 1
    assert len({run.metrics["average_accuracy"] for run in runs}) > 1


@pytest.mark.parametrize("stream", [STREAMS[0], STREAMS[3]], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {"storage": "packed"},
        {"storage": "float32"},
        {"storage": "smallest", "width": 61},
        {"storage": "smallest", "width": 700},
        {"solver": "recursive"},
    ],
    ids=str,
)
def test_every_form_holds_what_was_planned(options, stream):
    scenario = {"data": "digits", "stream": stream, "strategy": {"kind": "acil", "width": 60, **options}}
    plan, record = plan_memory(Scenario.load(scenario)), cl_engine.run(scenario)
    assert [e["entries"] for e in plan["experiences"]] == record.memory["entries"]
    names = {name for e in plan["experiences"] for name in e["training"]}
    peak = {name: max(e["training"].get(name, 0) for e in plan["experiences"]) for name in names}
    assert peak == record.memory["training_peak"]


def test_how_often_accuracy_is_measured_reaches_the_strategy():
    stream = {"kind": "class-incremental", "step": 5, **ONLINE}
    asked = {"data": "digits", "stream": stream, "strategy": "acil", "evaluate": {"every": "70 samples"}}
    terms = Scenario.load(asked).terms()
    assert terms.evaluate_every == 70
    assert terms.task(0).evaluate_every == 70
    assert Scenario.load({**asked, "evaluate": {"every": "experience"}}).terms().evaluate_every is None


@pytest.mark.parametrize("solver", ["accumulate", "recursive"])
def test_a_gamma_that_is_too_small_is_raised_and_noted(solver, tmp_path):
    """Projected features that differ by their last digits alone, and next to no penalty."""
    alike = projection()[:, :1] * 1e7 * (1 + 1e-9 * projection()[:1])
    options = {"projection": saved(tmp_path / "alike.npz", projection=alike), "gamma": 1e-9, "solver": solver}
    strategy = learned("acil", options)
    assert strategy.weights().isfinite().all()
    assert any("gamma raised to" in note for note in strategy.notes)
