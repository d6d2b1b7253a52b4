"""The expandable DER against published numbers, the growth that memory/alignment predicts, and returning classes."""

import numpy as np
import pytest
import torch
from torch import nn

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.data.samples import Samples
from cl_engine.memory.alignment.growth import expandable_growth
from cl_engine.memory.alignment.sizes import backbone_sizes
from cl_engine.memory.ledger import ledger
from cl_engine.running.planner import plan_memory
from cl_engine.strategies.expansion.der_expandable import DERExpandable
from cl_engine.testing import KINDS, check_strategy
from tests.strategies.fixed import RETURNING, Fixed, copied, digits, equal, learned, rebuilder


class Scored(nn.Module):
    width = 1

    def __init__(self, scores):
        super().__init__()
        self.head = Fixed(scores)

    def features(self, x):
        return x


def test_the_loss_is_the_published_one_with_all_old_classes_as_one():
    draw = np.random.default_rng(15)
    z, auxiliary = draw.standard_normal((4, 6)), draw.standard_normal((4, 3))
    strategy = DERExpandable()
    strategy.network = Scored(z)
    batch = Samples(torch.zeros(4, 1), torch.tensor([0, 5, 4, 2]))
    loss = strategy.both_losses(batch, Fixed(auxiliary), old=4)
    assert float(loss.detach()) == pytest.approx(4.38991844, abs=1e-8)


def test_resnet32_on_ten_times_ten_classes_holds_what_is_known():
    steps = [range(10 * t, 10 * t + 10) for t in range(10)]
    strategy = rebuilder(DERExpandable, steps, (3, 32, 32), backbone="resnet32").begun(10)
    kinds = {kind: sum(e.bytes for e in ledger(strategy.network) if e.kind == kind) for kind in ("head", "buffers")}
    assert sum(e.bytes for e in ledger(strategy.network)) == 18_889_920
    assert kinds == {"head": 4 * 64_100, "buffers": 93_360}


@pytest.mark.parametrize("backbone", ["resnet14", "mlp", "convnet2"])
def test_what_is_held_is_what_growth_predicts_also_without_new_classes(backbone):
    made = rebuilder(DERExpandable, backbone=backbone)
    growth = expandable_growth(backbone_sizes(backbone, (1, 8, 8)), [2, 2, 1, 0])
    for t, expected in enumerate(growth, start=1):
        found = ledger(made.begun(t).network)
        kinds = {kind: sum(e.bytes for e in found if e.kind == kind) for kind in expected._fields}
        assert kinds == expected._asdict()
        assert len(made.begun(t).network.blocks) == min(t, 3)


@pytest.mark.parametrize("delivery", [{}, {"delivery": "online", "micro_batch": 32}], ids=["offline", "online"])
def test_the_plan_equals_the_ledger_of_the_run(delivery):
    stream = {"kind": "repetition-slots", "experiences": 4, "classes_per_experience": 5, **delivery}
    training = {"epochs": 1, "updates_per_sample": 0.05}
    memory = {"budget": "700 KiB"}
    scenario = {"data": "digits", "stream": stream, "strategy": "der-expandable", "training": training}
    scenario["memory"] = memory
    planned, run = plan_memory(Scenario.load(scenario))["experiences"], cl_engine.run(scenario)
    assert [e["entries"] for e in planned] == run.memory["entries"]
    peaks = run.memory["training_peak"]
    assert {name: max(e["training"].get(name, 0) for e in planned) for name in peaks} == peaks
    assert peaks["auxiliary head"] > 0


def test_a_new_backbone_is_a_copy_of_the_newest_and_earlier_ones_do_not_move():
    made = rebuilder(DERExpandable, backbone="convnet2", total=20)
    strategy, _ = learned(made, 1)
    before = copied(strategy.network.blocks[0])
    task = made.terms.task(1)
    strategy.begin(task)
    network = strategy.network
    assert equal(before, network.blocks[1].state_dict())
    strategy.learn(task, digits(2, 3))
    assert equal(before, network.blocks[0].state_dict())
    assert not equal(before, network.blocks[1].state_dict())
    network.train()
    assert [block.training for block in network.blocks] == [False, True]


def test_without_new_classes_the_newest_backbone_learns_on_and_has_no_auxiliary_head():
    made = rebuilder(DERExpandable, total=20)
    strategy, _ = learned(made, 3)
    old, newest = copied(strategy.network.blocks[:2]), copied(strategy.network.blocks[2])
    task = made.terms.task(3)
    strategy.begin(task)
    strategy.learn(task, digits(*RETURNING[3]))
    assert equal(old, strategy.network.blocks[:2].state_dict())
    assert not equal(newest, strategy.network.blocks[2].state_dict())
    assert "auxiliary head" not in task.transient


def test_the_contract_is_kept_on_every_kind_of_stream():
    check_strategy(DERExpandable, on=KINDS)


def test_the_contract_is_kept_with_batch_norm():
    check_strategy(DERExpandable, on=("offline", "repeating-classes"), backbone="convnet2", total=12)


def test_it_learns_where_classes_return():
    stream = {"kind": "repetition-slots", "experiences": 5, "classes_per_experience": 4}
    strategy = {"kind": "der-expandable", "total": 100}
    assert cl_engine.run({"data": "digits", "stream": stream, "strategy": strategy}).metrics["last_accuracy"] > 0.7
