"""PASS: radius, distance and augmented means against published numbers and NumPy; turns; gradients; what is held."""

import numpy as np
import pytest
import torch
from torch import nn

from cl_engine.data.samples import Samples
from cl_engine.memory.ledger import ledger
from cl_engine.models.heads import Head
from cl_engine.strategies.prototypes.pass_ import PASS, noise_radius
from cl_engine.testing import check_strategy
from tests.strategies.fixed import digits, learned, rebuilder


def double(array):
    return torch.tensor(array, dtype=torch.float64)


def cross_entropy(z, y):
    z = z - z.max(1, keepdims=True)
    return -(z - np.log(np.exp(z).sum(1, keepdims=True)))[range(len(y)), y].mean()


def published():
    """Return features of two classes, new and old features of a batch, a head's weights, and noise."""
    r = np.random.default_rng(17)
    features = r.standard_normal((2, 30, 4)) * np.array([1.0, 2.0])[:, None, None]
    return features, *(r.standard_normal(shape) for shape in [(6, 4), (6, 4), (12, 4), (2, 4)])


class Given(nn.Module):
    """A network of given features and a linear head."""

    def __init__(self, features, weight):
        super().__init__()
        self.given, self.head = nn.Parameter(double(features)), Head(4)
        self.head.weight, self.head.bias = nn.Parameter(double(weight)), nn.Parameter(double(np.zeros(len(weight))))

    def features(self, x):
        return 1 * self.given


def made(new, weight, means, radius, **weights):
    strategy = PASS(**weights)
    strategy.network, strategy.turns = Given(new, weight), 1
    strategy.means = nn.Module()
    strategy.means.rows = double(means)
    strategy.hold("radius", double([radius]))
    return strategy


def test_the_radius_has_the_published_value():
    features = published()[0]
    squares = double((features**2).sum((1, 2)))
    radius = noise_radius(squares, double(features.mean(1)), torch.tensor([30, 30]))
    assert radius.item() == pytest.approx(1.53199365, abs=5e-9)
    lone = noise_radius(
        double(np.array([1.0, *squares])),
        double(np.array([[1.0, 0, 0, 0], *features.mean(1)])),
        torch.tensor([1, 30, 30]),
    )
    assert lone.item() == pytest.approx(1.53199365, abs=5e-9)  # a single sample has no variance


def test_the_distance_is_the_frobenius_norm_of_the_batch():
    _, new, old, weight, _ = published()
    batch, losses = Samples(torch.zeros(6, 4), torch.zeros(6, dtype=torch.int64)), []
    for strength in (0.0, 10.0):
        strategy = made(new, weight, np.zeros((1, 4)), 0.0, feature_strength=strength, prototype_strength=0.0)
        teacher = Given(old, weight)
        loss = strategy.augmented(batch, teacher, 1, torch.Generator().manual_seed(0))
        losses.append(loss.item())
        loss.backward()
        assert strategy.network.given.grad.norm() > 0
        assert teacher.given.grad is None
    assert losses[1] - losses[0] == pytest.approx(10 * 6.50611637, abs=1e-7)


def test_old_means_with_the_noise_of_the_radius_are_classified_among_all_turns():
    features, _, _, weight, noise = published()
    means = features.mean(1)
    strategy = made(np.zeros((2, 4)), weight, means, 0.0)
    augmented = double(means + 1.53199365 * noise)
    assert strategy.cross_entropy(augmented, torch.tensor([0, 4])).item() == pytest.approx(71.28521229, abs=1e-6)


def test_augmented_means_teach_the_head_and_nothing_else():
    """The same draws by NumPy, from the same generator's numbers."""
    features, new, _, weight, _ = published()
    means, y = features.mean(1), np.array([2, 2, 2, 2, 2, 2])
    losses, gradients = [], []
    for strength in (0.0, 10.0):
        strategy = made(new, weight, means, 0.7, feature_strength=0.0, prototype_strength=strength)
        loss = strategy.augmented(
            Samples(torch.zeros(6, 4), torch.tensor(y)), Given(new, weight), 2, torch.Generator().manual_seed(4)
        )
        loss.backward()
        losses.append(loss.item())
        gradients.append((strategy.network.given.grad.clone(), strategy.network.head.weight.grad.clone()))
    draw = torch.Generator().manual_seed(4)
    drawn = torch.randint(2, (6,), generator=draw).numpy()
    away = torch.randn(6, 4, generator=draw).numpy()
    assert losses[0] == pytest.approx(cross_entropy(new @ weight.T / 0.1, y), rel=1e-12)
    expected = cross_entropy((means[drawn] + 0.7 * away) @ weight.T / 0.1, drawn)
    assert (losses[1] - losses[0]) / 10 == pytest.approx(expected, rel=1e-6)
    assert torch.equal(gradients[0][0], gradients[1][0])
    assert (gradients[0][1] != gradients[1][1]).any()


def test_an_image_is_a_class_in_each_of_its_turns_and_upright_ones_are_predicted():
    strategy, task = learned(rebuilder(PASS, epochs=1), 1)
    x = torch.arange(128, dtype=torch.uint8).view(2, 1, 8, 8)
    turned, y = strategy.turned(Samples(x, torch.tensor([0, 1])))
    assert y.tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    for k in range(4):
        np.testing.assert_array_equal(turned[2 * k], np.rot90(x[0, 0], k)[None])
    assert strategy.network.head.weight.shape[0] == 4 * task.seen_classes
    scores = strategy.network(x)
    assert torch.equal(strategy.predict(x), scores[:, [0, 4]])


def test_means_and_radius_are_those_of_clean_features_and_a_class_that_returns_moves_its_mean():
    made_ = rebuilder(PASS, epochs=1)
    strategy, _ = learned(made_, 1)
    first = {c: strategy.features(digits(c).x) for c in (0, 1)}
    for c, features in first.items():
        torch.testing.assert_close(strategy.means.rows[c], features.mean(0), rtol=1e-4, atol=1e-5)
    r = np.sqrt(np.mean([np.trace(np.cov(f.numpy().T)) / f.shape[1] for f in first.values()]))
    assert strategy.radius.item() == pytest.approx(r, rel=1e-3)
    later, _ = learned(made_, 3)  # the third experience has class 0 again
    assert later.radius.item() == pytest.approx(r, rel=1e-3)
    assert later.means.counts[0] == 2 * len(first[0])
    again = later.features(digits(0).x).mean(0)
    torch.testing.assert_close(later.means.rows[0], (first[0].mean(0) + again) / 2, rtol=1e-3, atol=1e-3)


def test_a_mean_a_class_and_four_rows_of_the_head_are_held():
    entries = {e.name: e for e in ledger(rebuilder(PASS).begun(2))}
    assert (entries["means.rows"].kind, entries["means.rows"].shape) == ("prototypes", (4, 128))
    assert entries["network.head.weight"].shape == (16, 128)
    assert entries["radius"].bytes == 4
    assert not [e for e in entries.values() if e.kind in ("exemplars", "labels")]


def test_features_are_not_turned_and_the_contract_is_kept():
    assert rebuilder(PASS, shape=(24,)).begun(1).turns == 1
    check_strategy(PASS, on=("features", "hidden-boundaries", "repeating-classes"))
