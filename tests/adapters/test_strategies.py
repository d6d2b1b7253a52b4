"""Strategies of Avalanche in the engine: what they hold is charged to the byte, planned, resumed and bounded."""

import pytest
import torch

pytestmark = pytest.mark.avalanche
pytest.importorskip("avalanche", reason="needs the avalanche extra")

import cl_engine  # noqa: E402
from cl_engine.adapters.avalanche.known import SUPPORTED  # noqa: E402
from cl_engine.adapters.avalanche.live import TrainingError  # noqa: E402
from cl_engine.adapters.avalanche.strategy import Avalanche  # noqa: E402
from cl_engine.config.scenario import ConfigError, Scenario  # noqa: E402
from cl_engine.running.planner import plan_memory  # noqa: E402
from cl_engine.testing import check_strategy  # noqa: E402
from tests.adapters.avalanche import ARGUMENTS, STREAMS, scenario  # noqa: E402
from tests.stopping import StopAfter  # noqa: E402

SLOW = {"MER", "GSS_greedy"}  # a forward and backward pass for every sample
IMPOSSIBLE = {("GSS_greedy", "online"), ("ER_AML", "online")}  # Avalanche's own code fails, or never ends
MLP = {"kind": "mlp", "width": 16, "depth": 1}
MODEL = 4 * (16 * 8 + 16 + 10 * 16 + 10)  # a hidden layer of 16 units on 8 features, 10 outputs
CLOCK = 16  # experiences and steps so far


def installed(name):
    if name == "GEM":
        pytest.importorskip("quadprog", reason="GEM needs quadprog")


def held(name, stream="class-incremental", **changes):
    """Return the bytes after each experience by kind, model and optimizer and clock left out."""
    record = cl_engine.run(scenario(name, stream, **changes))
    found = []
    for entries in record.memory["entries"]:
        kinds = {}
        for entry in entries:
            kinds[entry["kind"]] = kinds.get(entry["kind"], 0) + entry["bytes"]
        assert kinds.pop("parameters") + kinds.pop("head", 0) == MODEL
        assert kinds.pop("optimizer", MODEL) == MODEL
        kinds["statistics"] -= CLOCK
        found.append({kind: amount for kind, amount in kinds.items() if amount})
    return found


def test_naive_holds_its_model_and_the_momentum_of_each_weight():
    assert held("Naive") == [{}, {}, {}]


def test_ewc_holds_weights_and_importances_of_every_experience():
    assert held("EWC") == [{"statistics": 2 * MODEL * experiences} for experiences in (1, 2, 3)]


def test_online_ewc_holds_those_of_the_last():
    strategy = {**scenario("EWC")["strategy"], "mode": "online", "decay_factor": 0.5}
    assert held("EWC", strategy=strategy) == [{"statistics": 2 * MODEL}] * 3


def test_lwf_holds_the_network_as_it_was_and_a_mark_for_each_output():
    assert held("LwF") == [{"teacher": MODEL, "statistics": 10}] * 3


def test_synaptic_intelligence_holds_two_tensors_as_large_as_the_model():
    assert held("SynapticIntelligence") == [{"statistics": 2 * MODEL}] * 3


def replay(exemplars, groups):
    """A sample has 8 floats, a label of 4 bytes, a weight of 4; a group its key and size, 4 bytes each."""
    return {"exemplars": 32 * exemplars, "labels": 4 * exemplars, "statistics": 4 * exemplars + 8 * groups}


def test_replay_holds_its_exemplars_as_equal_shares_of_the_experiences():
    assert held("Replay") == [replay(40, 1), replay(40, 2), replay(40, 3)]


def test_der_holds_the_logits_of_each_exemplar_too():
    expected = [replay(40, classes) | {"logits": 40 * 40} for classes in (4, 8, 10)]
    assert held("DER") == expected


@pytest.mark.parametrize("name", SUPPORTED)
def test_what_is_held_is_what_was_planned(name):
    installed(name)
    for stream in STREAMS:
        if (name, stream) in IMPOSSIBLE or (name in SLOW and stream != "class-incremental"):
            continue
        made = scenario(name, stream)
        plan, record = plan_memory(Scenario.load(made)), cl_engine.run(made)
        assert [e["entries"] for e in plan["experiences"]] == record.memory["entries"]
        assert not any(entry["kind"] == "structure" for entry in record.memory["entries"][-1])
        assert {e["training"]["gradients"] for e in plan["experiences"]} == {
            record.memory["training_peak"]["gradients"]
        }


@pytest.mark.parametrize("name", SUPPORTED)
def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(name, tmp_path):
    installed(name)
    made = scenario(name, "repeating")
    whole = cl_engine.run(made, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        cl_engine.run(made, out=tmp_path / "stopped", reporter=StopAfter(1))
    resumed = cl_engine.run(made, out=tmp_path / "stopped", resume=True)
    files = [record.directory / "checkpoint.safetensors" for record in (whole, resumed)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert whole.accuracy == resumed.accuracy


@pytest.mark.parametrize("name", ["EWC", "Replay", "LwF"])
def test_the_contract_is_kept(name):
    on = ("offline", "hidden-boundaries", "features", "repeating-classes")
    check_strategy(Avalanche, on=on, name=name, backbone=MLP, **ARGUMENTS[name])


def test_images_are_kept_as_bytes():
    record = cl_engine.run(
        {**scenario("Replay", data="digits"), "stream": {"kind": "class-incremental", "step": 5}}
    )
    (exemplars,) = [e for e in record.memory["entries"][-1] if e["kind"] == "exemplars"]
    assert (exemplars["dtype"], exemplars["shape"]) == ("uint8", [40, 1, 8, 8])


def exemplars(record):
    return [sum(e["bytes"] for e in es if e["kind"] == "exemplars") // 32 for es in record.memory["entries"]]


def without_size(name):
    return {**{k: v for k, v in scenario(name)["strategy"].items() if k != "mem_size"}}


def test_a_budget_of_exemplars_is_the_size_of_the_memory():
    record = cl_engine.run(scenario("Replay", strategy=without_size("Replay"), memory={"budget": "25 exemplars"}))
    assert exemplars(record) == [25, 25, 25]


@pytest.mark.parametrize("name", ["Replay", "DER", "GSS_greedy", "MIR"])
def test_exemplars_fill_what_a_budget_in_bytes_leaves(name):
    strategy = without_size(name)
    budget = 2 * MODEL + 2000
    record = cl_engine.run(scenario(name, strategy=strategy, memory={"budget": budget}))
    free = [budget - held for held in record.memory["held_bytes"]]
    most = 32 + 4 + 4 + (40 if name == "DER" else 0)
    assert all(left >= 0 for left in free)
    if name != "GSS_greedy":  # which drops its last places, and fills them one by one
        assert all(left < 12 * most for left in free)


def test_without_a_size_and_a_budget_there_are_two_hundred_exemplars():
    assert exemplars(cl_engine.run(scenario("ER_ACE", strategy=without_size("ER_ACE"))))[-1] == 200


@pytest.mark.parametrize(
    ("strategy", "complaint"),
    [
        ({"name": "EWX"}, "no strategy 'EWX' that runs here, did you mean 'EWC'"),
        ({"name": "BiC"}, "strategy.name: BiC .*; use `bic`; allowed: Naive"),
        ({"name": "EWC"}, "option 'ewc_lambda' is missing"),
        ({"name": "EWC", "ewc_lambda": 1.0, "lambda": 2.0}, "strategy.lambda: unknown option"),
        ({"name": "Replay", "mem_size": 0}, "strategy.mem_size: got 0; allowed: an integer >= 1"),
        ({"name": "LwF", "alpha": 1.0, "temperature": "hot"}, "strategy.temperature: got 'hot'"),
        (
            {"name": "Naive", "classes": 4},
            "4 outputs are too few, the stream exposes 10 classes; allowed: 10 or more",
        ),
    ],
)
def test_what_cannot_run_is_said_before_anything_is_trained(strategy, complaint):
    made = scenario("Naive", strategy={"kind": "avalanche", **strategy})
    with pytest.raises(ConfigError, match=complaint) as error:
        Scenario.load(made)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("option", "value"), [("augmentation", "standard"), ("precision", "bf16"), ("accumulate", 2)]
)
def test_training_options_that_avalanche_has_not_are_refused(option, value):
    made = scenario("Naive", training={option: value}, data="digits")
    with pytest.raises(ConfigError, match=f"has no training.{option}"):
        Scenario.load(made)


def test_defaults_of_avalanche_are_in_the_resolved_scenario():
    strategy = Scenario.load(scenario("EWC")).to_dict()["strategy"]
    assert strategy["mode"] == "separate"
    assert strategy["keep_importance_data"] is False


def test_gradients_are_cut_to_the_largest_norm(tmp_path):
    still = scenario("Naive", training={"epochs": 1, "lr": 0.05, "clip": 1e-12})
    before = Scenario.load(still)
    begun = before.rebuilder(before.terms()).begun(1).model.state_dict()
    after = cl_engine.load(cl_engine.run(still, out=tmp_path).directory).model.state_dict()
    assert all(torch.allclose(after[name], begun[name], atol=1e-9) for name in begun)


@pytest.mark.parametrize(("name", "complaint"), [("ER_AML", "would wait for ever"), ("GSS_greedy", "ValueError")])
def test_what_fails_or_never_ends_in_avalanche_ends_with_one_line(name, complaint):
    with pytest.raises(TrainingError, match=complaint):
        cl_engine.run(scenario(name, "online"))
