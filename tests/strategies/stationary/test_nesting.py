"""Matryoshka heads: published losses, gradients by NumPy, what is held, and prefixes that can be searched."""

import numpy as np
import pytest
import torch
from torch import nn

from cl_engine.data.digits import Digits
from cl_engine.data.samples import Samples
from cl_engine.kinds.problems import OptionError
from cl_engine.memory.ledger import ledger
from cl_engine.metrics import cross_test
from cl_engine.models.heads import NestedHead
from cl_engine.strategies.stationary.bct import BCT, influence_loss
from cl_engine.strategies.stationary.er import ER
from cl_engine.testing import check_strategy
from tests.strategies.fixed import learned, rebuilder

SIZES = (2, 4, 8)
OWN, SHARED = (2.33695963, 3.68132338, 1.37121420), (1.37280208, 1.22728364, 1.37121420)


def case():
    r = np.random.default_rng(6)
    h, y = r.standard_normal((4, 8)), r.integers(0, 5, 4)
    return h, y, [r.standard_normal((5, m)) for m in SIZES]


def strategy_of(kind, efficient, **options):
    h, _, weights = case()
    strategy = kind(nesting=[2, 4], efficient=efficient, **options)
    strategy.memory = nn.Module()
    strategy.memory.codec = type("Raw", (), {"of_features": False})
    strategy.network = nn.Module()
    strategy.network.h = nn.Parameter(torch.tensor(h))
    strategy.network.features = lambda x: strategy.network.h
    head = NestedHead(8, [2, 4], efficient)
    head.weight = nn.Parameter(torch.tensor(weights[2]))
    for small, weight in zip(head.smaller, weights[:2], strict=False):
        small.weight = nn.Parameter(torch.tensor(weight))
    strategy.network.head = head
    return strategy


def batch():
    return Samples(torch.zeros(4, 1), torch.from_numpy(case()[1]))


@pytest.mark.parametrize(("efficient", "losses"), [(False, OWN), (True, SHARED)])
def test_the_loss_is_the_sum_over_prefixes_and_has_the_published_value_and_gradients(efficient, losses):
    h, y, weights = case()
    strategy = strategy_of(ER, efficient)
    loss = strategy.loss(batch())
    loss.backward()
    assert loss.item() == pytest.approx(sum(losses), abs=2e-8)
    gradient, of_weight = np.zeros_like(h), np.zeros_like(weights[2])
    for m, own, expected in zip(SIZES, weights, losses, strict=True):
        w = weights[2][:, :m] if efficient else own
        p = np.exp(h[:, :m] @ w.T)
        p /= p.sum(1, keepdims=True)
        assert -np.log(p[np.arange(4), y]).mean() == pytest.approx(expected, abs=5e-9)
        d = (p - np.eye(5)[y]) / 4
        gradient[:, :m] += d @ w
        if efficient or m == 8:
            of_weight[:, :m] += d.T @ h[:, :m]
    np.testing.assert_allclose(strategy.network.h.grad.numpy(), gradient, atol=1e-12)
    np.testing.assert_allclose(strategy.network.head.weight.grad.numpy(), of_weight, atol=1e-12)


def test_the_old_classifier_of_bct_stands_beside_all_prefixes():
    old = torch.tensor(np.random.default_rng(8).standard_normal((3, 8)))
    strategy = strategy_of(BCT, False)
    found = strategy.influenced(batch(), old)
    influence = influence_loss(strategy.network.h, old, batch().y)
    assert found.item() == pytest.approx(sum(OWN) + influence.item(), abs=2e-8)


@pytest.mark.parametrize(("options", "widths"), [({}, [8, 16, 128]), ({"efficient": True}, [128])])
def test_a_classifier_of_each_prefix_is_held_and_one_that_is_shared_takes_nothing_more(options, widths):
    strategy, _ = learned(rebuilder(ER, nesting=[16, 8, 128], **options), 2)
    found = [e.bytes for e in ledger(strategy) if e.kind == "head"]
    assert sorted(found) == [4 * 4 * width for width in widths]


@pytest.mark.parametrize("efficient", [False, True])
def test_nested_heads_keep_the_contract(efficient):
    check_strategy(BCT, on=("repeating-classes",), nesting=[4, 32], efficient=efficient)


def test_prefixes_that_were_trained_find_more_than_those_that_were_not():
    found = {}
    for options in ({}, {"nesting": [8]}, {"nesting": [8], "efficient": True}):
        strategy, _ = learned(rebuilder(ER, steps=(tuple(range(10)),), epochs=10, **options), 1)
        train, test = Digits().load().train, Digits().load().test
        gallery, queries = (strategy.features(part.x)[:, :8] for part in (train, test))
        found[len(options)] = cross_test(queries, gallery, test.y, train.y)
    assert found[0] + 0.08 < min(found[1], found[2])


def test_prefixes_that_cannot_be_are_one_clear_line():
    with pytest.raises(OptionError, match="nesting: 200 of 128 features; allowed: as many at most"):
        learned(rebuilder(ER, nesting=[200]), 1)
    with pytest.raises(OptionError, match="efficient: there is no prefix; allowed: with `nesting`"):
        ER(efficient=True)
