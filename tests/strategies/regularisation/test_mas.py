"""MAS: what outputs depend on, sample by sample, summed over experiences, whatever the labels."""

import numpy as np
import pytest
import torch
from torch import nn

from cl_engine.data.samples import Samples
from cl_engine.strategies.regularisation.mas import MAS, sensitivities
from cl_engine.testing import check_strategy
from tests.strategies.fixed import RETURNING, digits, rebuilder


def oracle():
    draw = np.random.default_rng(3)
    x, w = draw.standard_normal((8, 5)), draw.standard_normal((3, 5))
    layer = nn.Linear(5, 3, bias=False).double()
    layer.weight.data = torch.tensor(w)
    expected = np.abs(2 * np.einsum("ic,id->icd", x @ w.T, x)).mean(0)
    return layer, Samples(torch.tensor(x), torch.zeros(8, dtype=torch.int64)), expected


@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_the_importance_is_of_single_samples_and_of_the_squared_norm_in_whatever_chunks(chunk):
    layer, samples, expected = oracle()
    found = sensitivities(layer, samples, chunk)["weight"] / 8
    assert float(found.sum()) == pytest.approx(45.55116711, abs=5e-9)  # of the whole batch: 33.17387638
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_the_penalty_is_the_strength_times_the_squared_distance_by_importance_without_a_half():
    layer, samples, expected = oracle()
    strategy = MAS(strength=7.0)
    strategy.network, strategy.label_smoothing = layer, 0.0
    strategy.importance.grow(layer)["weight"].copy_(torch.tensor(expected))
    strategy.anchor.grow(layer)["weight"].copy_(layer.weight.detach())
    moved = np.random.default_rng(0).standard_normal((3, 5))
    layer.weight.data += torch.tensor(moved)
    extra = strategy.loss(samples) - nn.functional.cross_entropy(layer(samples.x), samples.y)
    assert float(extra.detach()) == pytest.approx(7 * (expected * moved**2).sum(), rel=1e-12)
    (gradient,) = torch.autograd.grad(extra, layer.weight)
    np.testing.assert_allclose(gradient.numpy(), 14 * expected * moved, rtol=1e-10)


def one_by_one(network, samples):
    network.eval()
    sums = {n: torch.zeros_like(p) for n, p in network.named_parameters()}
    for x in samples.x:
        network.zero_grad()
        network(x[None]).square().sum().backward()
        for name, parameter in network.named_parameters():
            sums[name] += parameter.grad.abs()
    return {n: s / len(samples) for n, s in sums.items()}


@pytest.mark.parametrize("backbone", ["mlp", {"kind": "resnet14"}], ids=str)
def test_importances_are_summed_over_experiences_where_classes_return_batch_norm_or_not(backbone):
    made = rebuilder(MAS, backbone=backbone, epochs=1, strength=1e-4)
    strategy, total = made.begun(0), {}
    for index, classes in enumerate(RETURNING[:3]):
        task, samples = made.terms.task(index), digits(*classes)[:24]
        strategy.begin(task)
        strategy.learn(task, samples)
        statistics = {n: b.clone() for n, b in strategy.network.named_buffers()}
        strategy.end(task)
        for name, value in one_by_one(strategy.network, samples).items():
            grown = torch.zeros_like(value)
            if name in total:
                grown[tuple(map(slice, total[name].shape))] = total[name]
            total[name] = grown + value
        for name, value in total.items():
            torch.testing.assert_close(strategy.importance[name], value, rtol=2e-3, atol=1e-5)
            anchor, weight = strategy.anchor[name], dict(strategy.network.named_parameters())[name].detach()
            assert torch.equal(anchor, weight)
        assert all(torch.equal(b, statistics[n]) for n, b in strategy.network.named_buffers())


def test_labels_have_no_part_in_the_importance():
    layer, samples, _ = oracle()
    other = samples.labelled(torch.arange(8) % 3)
    assert torch.equal(sensitivities(layer, samples)["weight"], sensitivities(layer, other)["weight"])


def test_the_contract_is_kept_where_classes_return():
    check_strategy(MAS, on=("repeating-classes",), backbone={"kind": "mlp", "width": 8})
