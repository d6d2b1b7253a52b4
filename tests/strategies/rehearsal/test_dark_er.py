"""Dark experience replay: its loss, which logits are stored, and over which outputs they are matched."""

import numpy as np
import pytest
import torch

from cl_engine.data.samples import Samples
from cl_engine.memory.exemplars import Exemplars
from cl_engine.strategies.rehearsal.dark_er import DarkER
from tests.strategies.fixed import RETURNING, Fixed, learned, rebuilder


def case(width=10, new=0, **options):
    """Return the strategy over given scores, and a batch of 4 samples, the first ``new`` of them not rehearsed."""
    draw = np.random.default_rng(8)
    z, stored, y = draw.standard_normal((4, 10)), draw.standard_normal((4, 10)), draw.integers(0, 10, 4)
    strategy = DarkER(**options)
    strategy.memory, strategy.network = Exemplars(), Fixed(z)
    batch = Samples(torch.zeros(4, 1), torch.tensor(y)).with_columns(
        rehearsed=torch.arange(4) >= new,
        logits=torch.tensor(stored)[:, :width],
        width=torch.full((4,), width, dtype=torch.int32),
    )
    return strategy, batch, z, stored, y


def log_softmax(z):
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def test_exemplars_add_their_logits_times_alpha_and_their_labels_times_beta():
    strategy, batch, z, stored, y = case(alpha=0.3, beta=0.5)
    loss = strategy.loss(batch)
    assert float(loss.detach()) == pytest.approx(1.33149125, abs=5e-9)
    loss.backward()
    expected = 0.3 * 2 * (z - stored) / 40 + 0.5 * (np.exp(log_softmax(z)) - np.eye(10)[y]) / 4
    np.testing.assert_allclose(strategy.network.scores.grad.numpy(), expected, atol=1e-12)


def test_without_beta_it_is_der_and_outputs_that_came_later_are_free():
    strategy, batch, z, stored, _ = case(width=4, alpha=1.0, beta=0.0)
    loss = strategy.loss(batch)
    assert float(loss.detach()) == pytest.approx(2.62956829, abs=5e-9)
    loss.backward()
    gradient = strategy.network.scores.grad.numpy()
    np.testing.assert_allclose(gradient[:, :4], 2 * (z - stored)[:, :4] / 16, atol=1e-12)
    assert (gradient[:, 4:] == 0).all()


def test_new_samples_have_their_cross_entropy_alone():
    strategy, batch, z, stored, y = case(new=3)
    expected = -log_softmax(z)[np.arange(4), y]
    loss = expected[:3].mean() + 0.3 * ((z - stored)[3] ** 2).mean() + 0.5 * expected[3]
    assert float(strategy.loss(batch).detach()) == pytest.approx(loss, rel=1e-12)
    plain = Samples(batch.x, batch.y)
    assert float(strategy.loss(plain).detach()) == pytest.approx(expected.mean(), rel=1e-12)


@pytest.mark.parametrize("backbone", ["mlp", "resnet14"])
def test_stored_logits_are_the_networks_in_evaluation_mode_once_the_experience_was_learned(backbone):
    made = rebuilder(DarkER, backbone=backbone, total=30, epochs=1)
    strategy, _ = learned(made, 2)
    held = strategy.memory.samples()
    late = held.columns["width"] == 4
    assert 0 < late.sum() < 30
    assert set(held.y[late].tolist()) <= {2, 3}
    with torch.no_grad():
        torch.testing.assert_close(
            held.columns["logits"][late], strategy.network(held.x[late]), atol=1e-4, rtol=1e-4
        )
    assert (held.columns["logits"][~late][:, 2:] == 0).all()
    assert (held.columns["width"][~late] == 2).all()


def test_a_class_that_returns_is_stored_with_the_outputs_of_that_time_and_not_of_its_own():
    strategy, _ = learned(rebuilder(DarkER, total=200), len(RETURNING))
    held = strategy.memory.samples()
    widths = {c: set(held.columns["width"][held.y == c].tolist()) for c in range(5)}
    assert widths == {0: {2, 5}, 1: {2, 5}, 2: {4}, 3: {4, 5}, 4: {5}}
    early = held[(held.y == 0) & (held.columns["width"] == 2)]
    strategy.network.zero_grad()
    batch = early.with_columns(rehearsed=torch.ones(len(early), dtype=torch.bool))
    strategy.beta = 0.0
    strategy.loss(batch).backward()
    gradient = strategy.network.head.bias.grad
    assert (gradient[:2] != 0).all()
    assert (gradient[2:] == 0).all()


def test_an_exemplar_costs_four_bytes_a_class_and_four_more():
    strategy, _ = learned(rebuilder(DarkER, total=40), 3)
    assert len(strategy.memory) == 40
    logits = sum(
        tensor.numel() * tensor.element_size()
        for name, tensor in strategy.memory.columns().items()
        if name in ("logits", "width")
    )
    assert logits == 40 * (4 * 5 + 4)
