"""Contrast without anything that keeps: its loss, its means, and what is held."""

import numpy as np
import pytest
import torch
from torch import nn

from cl_engine.data.samples import Samples
from cl_engine.memory.ledger import ledger
from cl_engine.strategies.prototypes.running_means import RunningMeans
from cl_engine.strategies.prototypes.supcon_finetune import SupConFinetune
from cl_engine.testing import check_strategy
from tests.strategies.fixed import digits, learned, rebuilder


def test_the_loss_is_the_contrast_of_the_projections():
    z = torch.tensor(np.random.default_rng(16).standard_normal((8, 5)))
    strategy = SupConFinetune(temperature=0.1)
    strategy.network = nn.Module()
    strategy.network.project = lambda x: z
    loss = strategy.loss(Samples(torch.zeros(8, 1), torch.tensor([0, 1, 1, 0] * 2)))
    assert loss.item() == pytest.approx(5.49475319, abs=5e-9)


def test_means_are_of_unit_features_as_they_were_and_the_largest_cosine_wins():
    made = rebuilder(SupConFinetune)
    strategy, _ = learned(made, 1)
    for c in (0, 1):
        features = strategy.features(digits(c).x).numpy()
        mean = (features / np.linalg.norm(features, axis=1, keepdims=True)).mean(0)
        np.testing.assert_allclose(strategy.means.rows[c], mean, rtol=1e-3, atol=1e-5)
    old = strategy.means.rows[1].clone()
    later, _ = learned(made, 2)
    assert torch.equal(later.means.rows[1], old)  # the encoder moves on, the mean does not
    new = digits(2, 3)
    assert (later.predict(new.x).argmax(1) == new.y).float().mean() > 0.9


def test_running_means_are_means_in_whatever_parts_samples_come():
    r = np.random.default_rng(0)
    x, y = r.standard_normal((40, 3)), r.integers(0, 4, 40)
    means = RunningMeans(3, torch.device("cpu"))
    means.grow(2)
    means.grow(5)
    for part in np.array_split(np.arange(40), [3, 4, 20]):
        means.update(torch.tensor(x[part], dtype=torch.float32), torch.tensor(y[part]))
    np.testing.assert_allclose(means.rows[:4], [x[y == c].mean(0) for c in range(4)], atol=1e-6)
    assert means.rows[4].abs().sum() == 0
    assert means.counts.tolist() == [*np.bincount(y), 0]


def test_encoder_projection_and_a_mean_a_class_are_held():
    entries = [e for e in ledger(rebuilder(SupConFinetune).begun(2)) if e.bytes]
    assert [(e.name, e.shape) for e in entries if e.kind == "prototypes"] == [("means.rows", (4, 128))]
    encoder, projection = 64 * 128 + 128 + 128 * 128 + 128, 3 * (128 * 128 + 128)
    assert sum(e.bytes for e in entries if e.kind == "parameters") == 4 * (encoder + projection)


def test_the_contract_is_kept():
    check_strategy(SupConFinetune, on=("features", "hidden-boundaries", "repeating-classes"))
