"""EWC against its equations."""

import numpy as np
import pytest
import torch

from cl_engine.data.samples import Samples
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.regularisation.ewc import EWC, squared_gradients
from cl_engine.terms.task import Task
from cl_engine.terms.training import Training
from cl_engine.testing import KINDS, check_strategy


def linear(r):
    x, w = torch.tensor(r.standard_normal((8, 5))), torch.tensor(r.standard_normal((3, 5)))
    y = torch.tensor(r.integers(0, 3, 8))
    network = torch.nn.Linear(5, 3, bias=False).double()
    network.weight = torch.nn.Parameter(w)
    return network, Samples(x, y)


def test_the_fisher_diagonal_is_of_single_samples_not_of_the_batch_mean():
    r = np.random.default_rng(1)
    network, samples = linear(r)
    fisher = squared_gradients(network, samples)["weight"] / 8
    assert fisher.sum().item() == pytest.approx(5.04061055, abs=1e-8)
    moved = torch.tensor(r.standard_normal((3, 5)))
    assert (fisher * (0.1 * moved).square()).sum().item() == pytest.approx(0.02503411, abs=1e-8)


def test_it_equals_a_loop_over_samples_in_evaluation_mode_of_batch_norm():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7), torch.nn.Linear(7, 3)).eval()
    samples = Samples(torch.randn(9, 5), torch.arange(9) % 3)
    found = squared_gradients(network, samples)
    for name, parameter in network.named_parameters():
        expected = torch.zeros_like(parameter)
        for x, y in zip(samples.x, samples.y, strict=True):
            network.zero_grad()
            torch.nn.functional.cross_entropy(network(x[None]), y[None]).backward()
            expected += parameter.grad.square()
        assert torch.allclose(found[name], expected, rtol=1e-4, atol=1e-7)


def test_new_rows_matter_to_nobody_and_the_penalty_is_zero_at_the_anchor():
    strategy, training = EWC(), Training(epochs=1)
    first = Task(0, Exposure((0, 1), (0, 1), 2), shape=(4,), training=training)
    strategy.begin(first)
    strategy.learn(first, Samples(torch.randn(20, 4), torch.arange(20) % 2))
    strategy.end(first)
    assert strategy.penalty().item() == 0
    assert strategy.importance["head.weight"].sum() > 0
    strategy.begin(Task(1, Exposure((2,), (2,), 3), shape=(4,), training=training))
    assert strategy.importance["head.weight"][2].abs().sum() == 0
    assert strategy.penalty().item() == 0


def test_online_importance_is_the_mean_over_all_micro_batches():
    exposure, training = Exposure((0, 1), (0, 1), 2), Training(lr=1e-9)
    samples = Samples(torch.randn(20, 4), torch.arange(20) % 2)
    found = []
    for size in (20, 5):
        strategy = EWC()
        task = Task(0, exposure, shape=(4,), training=training, online=True)
        strategy.begin(task)
        for part in samples.batches(size):
            strategy.learn(task, part)
        strategy.end(task)
        found.append(strategy.importance["head.weight"].clone())
    assert torch.allclose(found[0], found[1], rtol=1e-4)


def test_it_keeps_the_contract_on_every_stream():
    check_strategy(EWC, on=KINDS)
