"""Every strategy meets every kind of stream: all of it on demand, and always one stream for each strategy."""

import pytest
import yaml

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.kinds.registry import kinds
from cl_engine.running.planner import plan_memory
from cl_engine.scenarios.shipped import find
from tests.strategies.small import NEEDS_EXTRA

EVERYTHING = yaml.safe_load(find("everything").read_text())
STREAMS, STRATEGIES = EVERYTHING["sweep"]["stream"], EVERYTHING["sweep"]["strategy"]
STRATEGIES = [{"kind": part} if isinstance(part, str) else part for part in STRATEGIES]
TOO_LARGE = {"air", "der-expandable"}  # for the smaller budget, once there are ten classes or five branches


def test_the_sweep_names_every_strategy_and_every_stream_that_needs_no_file():
    assert [part["kind"] for part in STRATEGIES] == [*dict.fromkeys(part["kind"] for part in STRATEGIES)]
    assert {part["kind"] for part in STRATEGIES} == {*kinds("strategies")} - NEEDS_EXTRA
    assert {part["kind"] for part in STREAMS} == {*kinds("streams")} - {"plan"}


@pytest.mark.parametrize("number", range(len(STRATEGIES)), ids=[part["kind"] for part in STRATEGIES])
def test_every_strategy_does_on_one_stream_what_its_plan_says(number):
    scenario = {
        "data": "digits",
        "stream": STREAMS[5 * number % len(STREAMS)],
        "strategy": STRATEGIES[number],
        "memory": {"budget": "512 KiB"},
        "training": {**EVERYTHING["training"], "epochs": 1, "updates_per_sample": 0.25},
    }
    plan, record = plan_memory(Scenario.load(scenario)), cl_engine.run(scenario)
    assert [e["entries"] for e in plan["experiences"]] == record.memory["entries"]
    assert record.metrics["average_accuracy"] > 0


@pytest.mark.slow
@pytest.mark.skipif("not config.getoption('-m')", reason="takes minutes; run it with -m slow")
def test_every_strategy_on_every_stream_within_both_budgets_is_done_or_known_to_be_impossible(tmp_path):
    frame = cl_engine.sweep(find("everything"), out=tmp_path).frame()
    assert len(frame) == 2 * len(STREAMS) * len(STRATEGIES) - 2 * len(STREAMS)  # two keep all samples
    impossible = frame[frame["status"] == "impossible"]
    assert {*frame["status"]} == {"done", "impossible"}
    assert {*impossible["strategy"]} == TOO_LARGE
    assert {*impossible["budget_bytes"]} == {64 * 1024}
