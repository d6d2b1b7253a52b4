"""GDumb: a balanced memory within its limits, and a network that has seen nothing else."""

import pytest
import torch

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.running.planner import plan_memory
from cl_engine.strategies.rehearsal.gdumb import GDumb
from cl_engine.training.loop import fit
from tests.strategies.fixed import RETURNING, copied, digits, equal, learned, rebuilder


@pytest.mark.parametrize("online", [False, True])
def test_classes_that_return_have_the_share_of_the_others(online):
    made = rebuilder(GDumb, total=50, passes=1, online=online)
    strategy = made.begun(0)
    for index, classes in enumerate(RETURNING):
        task = made.terms.task(index)
        strategy.begin(task)
        for part in digits(*classes).batches(16) if online else [digits(*classes)]:
            strategy.learn(task, part)
        strategy.end(task)
        counts = torch.bincount(strategy.memory.y)
        assert counts.max() - counts.min() <= 1
        assert counts.sum() == 50


@pytest.mark.parametrize(("total", "held"), [(None, 200), (30, 30), (500, 500), (5000, 723)])
def test_it_holds_as_many_as_it_is_told_and_200_where_nothing_is_said(total, held):
    made = rebuilder(GDumb, total=total, passes=1, steps=((0, 1, 2, 3, 4),))
    strategy, _ = learned(made, 1)
    assert len(digits(0, 1, 2, 3, 4)) == 723
    assert len(strategy.memory) == held


@pytest.mark.parametrize("total", [None, 30, 500])
@pytest.mark.parametrize("budget", ["40 exemplars", "150 KiB", "104500 B"])
def test_no_budget_is_exceeded_and_one_without_room_holds_no_exemplar(budget, total):
    scenario = {
        "data": "digits",
        "stream": {"kind": "class-incremental", "step": 5},
        "strategy": {"kind": "gdumb", "total": total, "passes": 1},
        "memory": {"budget": budget, **({"policy": "paper"} if "exemplars" in budget else {})},
    }
    memory = cl_engine.run(scenario).memory
    assert [e["entries"] for e in plan_memory(Scenario.load(scenario))["experiences"]] == memory["entries"]
    counts = [sum(e["shape"][0] for e in entries if e["kind"] == "labels") for entries in memory["entries"]]
    if budget == "40 exemplars":
        assert counts == [min(40, total or 200)] * 2
    elif budget == "150 KiB":
        assert counts[-1] == min((150 * 1024 - model_bytes()) // 68, total or 10**9)
    else:
        assert counts[-1] == 0


def model_bytes():
    return 4 * ((64 + 1) * 128 + (128 + 1) * 128 + (128 + 1) * 10)


def test_the_network_is_fresh_whatever_the_last_one_was_and_knows_the_memory_alone():
    ends = []
    for spoilt in (False, True):
        strategy, _ = learned(made := rebuilder(GDumb, total=20, passes=2), 1)
        task = made.terms.task(1)
        strategy.begin(task)
        if spoilt:
            with torch.no_grad():
                for parameter in strategy.network.parameters():
                    parameter.fill_(0.1)
        strategy.learn(task, digits(2, 3))
        strategy.end(task)
        ends.append(copied(strategy.network))
    assert equal(*ends)
    made.begun(1).begin(task := made.terms.task(1))
    again = strategy.build(task)
    again.head.grow(4, task.generator("head"))
    assert task.training.epochs == 2
    memory = strategy.memory.samples()
    fit(again, memory, task, lambda batch: torch.nn.functional.cross_entropy(again(batch.x), batch.y))
    assert equal(copied(again), ends[0])


def test_until_an_experience_ends_the_network_of_the_one_before_answers():
    made = rebuilder(GDumb, total=20, passes=2)
    strategy, _ = learned(made, 1)
    task = made.terms.task(1)
    strategy.begin(task)
    before = copied(strategy.network)
    strategy.learn(task, digits(2, 3))
    assert equal(copied(strategy.network), before)


def test_an_experience_that_brings_nothing_to_hold_leaves_the_memory_itself(monkeypatch):
    made = rebuilder(GDumb, total=10, passes=1)
    strategy, task = learned(made, 1)
    held = strategy.memory.x
    strategy.learn(task, digits(0, 1)[:5])
    assert strategy.memory.x is held


def test_online_it_passes_over_the_memory_as_often_as_offline():
    steps = []
    for online in (False, True):
        strategy, _ = learned(rebuilder(GDumb, total=40, passes=3, online=online), 1)
        steps.append(copied(strategy.network))
    assert equal(*steps)
