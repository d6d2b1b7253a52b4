"""MIR: who is hurt by a step, who is rehearsed for it, and what the question changes: nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from cl_engine.data.samples import Samples
from cl_engine.memory.exemplars import Exemplars
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.rehearsal.mir import MIR, interference
from cl_engine.terms.task import Task
from cl_engine.terms.training import Training
from tests.strategies.fixed import RETURNING, copied, digits, equal, learned, rebuilder

SCORES = [0.0177728, -0.2524821, -0.0287244, 0.19774928, 0.222906, 0.02024335]


def task(index=0, classes=(0, 1, 2), seen=3, **options):
    training = Training(epochs=1, lr=0.5, **options)
    return Task(index, Exposure(classes, (), seen), shape=(5,), training=training)


def case():
    draw = np.random.default_rng(9)
    w, x, y = draw.standard_normal((3, 5)), draw.standard_normal((4, 5)), draw.integers(0, 3, 4)
    xb, yb = draw.standard_normal((6, 5)), draw.integers(0, 3, 6)
    layer = nn.Linear(5, 3, bias=False).double()
    layer.weight.data = torch.tensor(w)
    return layer, Samples(torch.tensor(x), torch.tensor(y)), Samples(torch.tensor(xb), torch.tensor(yb))


def marked(new, candidates):
    both = new + candidates
    return both.with_columns(rehearsed=torch.arange(len(both)) >= len(new))


def test_the_scores_are_the_rise_of_each_loss_by_a_step_on_the_new_samples_alone():
    layer, new, candidates = case()
    before = copied(layer)
    hurt = interference(layer, new, candidates, task())
    np.testing.assert_allclose(hurt.numpy(), SCORES, atol=5e-9)
    assert hurt.topk(2).indices.tolist() == [4, 3]
    assert equal(copied(layer), before)
    assert layer.weight.grad is None


def over(network, **options):
    strategy = MIR(**options)
    strategy.memory, strategy.network = Exemplars(), network
    return strategy


def test_a_step_is_on_the_new_samples_and_as_many_of_the_most_hurt():
    layer, new, candidates = case()
    loss = over(layer).with_most_hurt(task(), marked(new[:2], candidates))
    hurt = interference(layer, new[:2], candidates, task())
    chosen = new[:2] + candidates[hurt.topk(2).indices]
    expected = nn.functional.cross_entropy(layer(chosen.x), chosen.y)
    torch.testing.assert_close(loss, expected)
    mine, whole = (torch.autograd.grad(value, layer.weight)[0] for value in (loss, expected))
    torch.testing.assert_close(mine, whole)


def test_candidates_are_told_by_their_mark_and_not_by_their_class():
    layer, new, candidates = case()
    of_one_class = Samples(new.x, torch.zeros_like(new.y)), Samples(candidates.x, torch.zeros_like(candidates.y))
    asked = []
    strategy = over(layer)
    strategy.loss = lambda batch: asked.append(batch) or layer(batch.x).sum()
    strategy.with_most_hurt(task(2, classes=(2, 0), seen=3), marked(*of_one_class))
    (batch,) = asked
    assert len(batch) == 8
    assert batch.rehearsed.tolist() == [False] * 4 + [True] * 4
    assert torch.equal(batch.x[:4], new.x)


def test_without_exemplars_it_is_plain_training():
    layer, new, _ = case()
    loss = over(layer).with_most_hurt(task(), new)
    torch.testing.assert_close(loss, nn.functional.cross_entropy(layer(new.x), new.y))


def test_neither_the_virtual_step_nor_the_candidates_move_running_statistics():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    _, new, candidates = case()
    strategy = over(network)
    network.eval()
    expected = interference(network, new, candidates, task())  # as predictions are made
    network.train()
    strategy.loss = lambda batch: network(batch.x[:1].expand(2, -1)).sum() * 0 + batch.x.sum()
    chosen = strategy.with_most_hurt(task(), marked(new, candidates))
    assert network.training
    assert network[1].training
    assert int(network[1].num_batches_tracked) == 1  # of the loss itself
    best = candidates[expected.topk(4).indices]
    torch.testing.assert_close(chosen, (new + best).x.sum())


def test_a_candidate_is_drawn_once_so_a_small_memory_is_rehearsed_whole(monkeypatch):
    seen = []

    def watched(module, new, candidates, task):
        seen.append(candidates)
        return torch.zeros(len(candidates))

    monkeypatch.setattr("cl_engine.strategies.rehearsal.mir.interference", watched)
    learned(rebuilder(MIR, epochs=1, total=12), 2)
    assert seen
    assert all(len(torch.unique(c.x.flatten(1), dim=0)) == len(c) == 12 for c in seen)


@pytest.mark.parametrize("codec", ["raw", "features"])
def test_it_keeps_what_it_knew_where_classes_return(codec):
    backbone = "identity" if codec == "features" else "mlp"
    strategy, _ = learned(rebuilder(MIR, epochs=8, total=50, codec=codec, backbone=backbone), len(RETURNING))
    everything = digits(0, 1, 2, 3, 4)
    assert (strategy.predict(everything.x).argmax(1) == everything.y).float().mean() > 0.8
