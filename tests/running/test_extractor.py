"""Features that were made before any strategy saw them: what made them is in the ledger and counts."""

import pytest
import torch
from torch import nn

import cl_engine
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.data.gaussian import Gaussian
from cl_engine.running.planner import plan_memory

BYTES = 4 * (100 * 8 + 8)  # of a linear layer


class Extracted(Gaussian):
    """Features that a linear layer is said to have made."""

    def __init__(self):
        super().__init__(classes=4, features=8, samples_per_class=50)

    def extractor(self):
        with torch.device("meta"):
            return nn.Linear(100, 8)


def scenario(source, **memory):
    return {"data": source, "stream": {"step": 2}, "strategy": {"kind": "replay", **SMALL}, "memory": memory}


SMALL = {"backbone": {"kind": "mlp", "width": 4, "depth": 1}}
LEAST = 4 * (8 * 4 + 4 + 4 * 4 + 4) + 8 * 4  # of the network with its head, and a counter a class


@pytest.mark.parametrize("audit", ["rebuild", "process"])
def test_every_boundary_holds_the_extractor_beside_what_the_strategy_holds(audit):
    without = cl_engine.run(scenario(Gaussian(classes=4, features=8, samples_per_class=50), audit=audit))
    record = cl_engine.run(scenario(Extracted(), audit=audit))
    more = [a - b for a, b in zip(record.memory["held_bytes"], without.memory["held_bytes"], strict=True)]
    assert more == [BYTES, BYTES]
    more = [a - b for a, b in zip(record.memory["paper_bytes"], without.memory["paper_bytes"], strict=True)]
    assert more == [BYTES, BYTES]
    assert [e["name"] for e in record.memory["entries"][0]][:2] == ["extractor.weight", "extractor.bias"]


def test_exemplars_have_what_the_extractor_leaves_of_a_budget():
    budget = BYTES + LEAST + 10 * (8 * 4 + 4)  # ten exemplars of eight floats and a label
    record = cl_engine.run(scenario(Extracted(), budget=budget))
    labels = [e for e in record.memory["entries"][-1] if e["kind"] == "labels"]
    assert labels[0]["shape"] == [10]
    assert record.memory["held_bytes"][-1] <= budget


def test_a_budget_below_the_extractor_is_refused_before_anything_is_trained():
    with pytest.raises(ConfigError, match=r"the strategy holds at least .* over the budget"):
        cl_engine.run(scenario(Extracted(), budget=BYTES + 10))


def test_a_budget_of_exemplars_leaves_the_extractor_free_as_it_does_the_model():
    record = cl_engine.run(scenario(Extracted(), budget="5 exemplars"))
    assert record.memory["held_bytes"][-1] > BYTES


def test_the_plan_equals_the_run_to_the_byte():
    made = scenario(Extracted(), budget="16 KiB")
    plan = [e["held_bytes"] for e in plan_memory(Scenario.load(made))["experiences"]]
    assert plan == cl_engine.run(made).memory["held_bytes"]
