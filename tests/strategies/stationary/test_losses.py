"""What the stationary methods minimise, against independent float64 NumPy and published numbers."""

import numpy as np
import pytest
import torch
from torch import nn

from cl_engine.data.samples import Samples
from cl_engine.models.simplex import simplex
from cl_engine.strategies.stationary.bct import BCT, influence_loss
from cl_engine.strategies.stationary.cl2r import CL2R
from cl_engine.strategies.stationary.cores import CoReS
from cl_engine.strategies.stationary.hoc import HOC
from cl_engine.strategies.stationary.relative import relative

K, B = 7, 6
Y = np.array([0, 1, 2, 0, 2, 1])
REHEARSED = np.array([False, False, False, True, True, True])


def log_softmax(z):
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


class Embedding(nn.Module):
    """Answers every batch with the first of the same z, float64, under vertices of K classes."""

    def __init__(self, z, from_end=False):
        super().__init__()
        self.z = nn.Parameter(torch.tensor(z))
        self.head = nn.Module()
        vertices = simplex(K).double()
        self.head.vertices = vertices.flip(0) if from_end else vertices

    def embed(self, x):
        return self.z[x[:, 0].long()]


class Raw:
    class codec:
        of_features = False


def with_network(strategy, z, **options):
    strategy.__dict__["memory"] = Raw()
    strategy.network = Embedding(z, **options)
    return strategy


def batch():
    x = torch.arange(B)[:, None]
    return Samples(x, torch.from_numpy(Y), {"rehearsed": torch.from_numpy(REHEARSED)})


def drawn():
    draw = np.random.default_rng(0)
    return draw.standard_normal((B, K - 1)), draw.standard_normal((B, K - 1))


def vertices():
    """The released construction, step by step."""
    n = K - 1
    rows = np.vstack([np.eye(n), np.full((1, n), (1 - np.sqrt(1 + n)) / n)])
    rows -= rows.mean(0)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def cross_entropy(z, v):
    p = np.exp(log_softmax(z @ v.T))
    gradient = (p - np.eye(K)[Y]) @ v / B
    return -log_softmax(z @ v.T)[np.arange(B), Y].mean(), gradient


@pytest.mark.parametrize("kind", [CoReS, CL2R, HOC])
def test_the_cross_entropy_is_over_all_reserved_classes_with_z_as_it_is(kind):
    z, _ = drawn()
    strategy = with_network(kind(reserved=K), z)
    loss = strategy.loss(batch())
    loss.backward()
    value, gradient = cross_entropy(z, vertices())
    assert loss.item() == pytest.approx(value, abs=2e-7)  # vertices are float32
    np.testing.assert_allclose(strategy.network.z.grad.numpy(), gradient, atol=1e-7)


def test_vertices_from_the_last_on_are_those_of_the_reversed_labels():
    z, _ = drawn()
    loss = with_network(HOC(reserved=K), z, from_end=True).loss(batch())
    assert loss.item() == pytest.approx(cross_entropy(z, vertices()[::-1])[0], abs=2e-7)


def test_cl2r_distils_on_the_rehearsed_half_alone():
    z, before = drawn()
    strategy = with_network(CL2R(reserved=K), z)
    loss = strategy.distilled(batch(), Embedding(before), gamma=2.236)
    loss.backward()
    cosines = (unit(z) * unit(before)).sum(1)
    value, gradient = cross_entropy(z, vertices())
    assert loss.item() == pytest.approx(value + 2.236 * (1 - cosines[REHEARSED]).mean(), abs=2e-7)
    pulled = -(unit(before) - cosines[:, None] * unit(z)) / np.linalg.norm(z, axis=1, keepdims=True)
    gradient[REHEARSED] += 2.236 * pulled[REHEARSED] / REHEARSED.sum()
    np.testing.assert_allclose(strategy.network.z.grad.numpy(), gradient, atol=2e-7)


@pytest.mark.parametrize("denominator", ["released", "infonce"])
def test_hoc_is_a_tenth_of_the_cross_entropy_and_nine_of_the_contrast_of_all_samples(denominator):
    z, before = drawn()
    strategy = with_network(HOC(reserved=K, hoc_denominator=denominator), z)
    loss = strategy.compatible(batch(), Embedding(before))
    loss.backward()

    def oracle(z):
        s = 10 * unit(before) @ unit(z).T
        same = Y[:, None] == Y
        rest = np.where(same, 0, np.exp(s)).sum(1)
        own = np.exp(s.diagonal()) if denominator == "infonce" else same.sum(1)
        return 0.1 * cross_entropy(z, vertices())[0] + 0.9 * (np.log(own + rest) - s.diagonal()).mean()

    assert loss.item() == pytest.approx(oracle(z), abs=2e-7)
    gradient = np.zeros_like(z)
    for place in np.ndindex(*z.shape):
        step = np.zeros_like(z)
        step[place] = 1e-5
        gradient[place] = (oracle(z + step) - oracle(z - step)) / 2e-5
    np.testing.assert_allclose(strategy.network.z.grad.numpy(), gradient, atol=1e-6)


def bct_case():
    r = np.random.default_rng(0)
    h, new, old = r.standard_normal((6, 6)), r.standard_normal((5, 6)), r.standard_normal((3, 4))
    return h, new, old, np.array([0, 1, 2, 0, 4, 3])


def test_bct_has_the_published_value_and_gradient():
    h, new, old, y = bct_case()
    leaf = torch.tensor(h, requires_grad=True)
    influence = influence_loss(leaf, torch.tensor(old), torch.tensor(y))
    influence.backward()
    assert influence.item() == pytest.approx(2.79968669, abs=5e-9)
    norms = [0.47815894, 0.57343011, 0.83564156, 0.78927961, 0, 0]
    assert leaf.grad.norm(dim=1).tolist() == pytest.approx(norms, abs=5e-9)
    assert not leaf.grad[:, 4:].any()
    for weight, total in ((1.0, 5.62395922), (10.0, 30.82113941)):
        strategy = BCT(influence=weight)
        strategy.__dict__["memory"] = Raw()
        strategy.network = nn.Module()
        strategy.network.features = lambda x: torch.tensor(h)
        strategy.network.head = lambda features: features @ torch.tensor(new).T
        loss = strategy.influenced(Samples(torch.zeros(6, 1), torch.tensor(y)), torch.tensor(old))
        assert loss.item() == pytest.approx(total, abs=5e-8)


def test_bct_without_a_sample_that_the_old_classifier_knows_adds_nothing():
    leaf = torch.randn(3, 4, requires_grad=True)
    loss = influence_loss(leaf, torch.empty(0, 4), torch.tensor([0, 1, 2]))
    loss.backward()
    assert loss.item() == 0
    assert not leaf.grad.any()


def test_a_relative_representation_has_the_published_values_and_is_blind_to_rotation_and_scale():
    r = np.random.default_rng(5)
    anchors, x = r.standard_normal((3, 5)), r.standard_normal((4, 5))
    found = relative(torch.tensor(x), torch.tensor(anchors)).numpy()
    assert found[0] == pytest.approx([0.2190097, -0.1095752, -0.07131378], abs=5e-8)
    assert np.linalg.norm(found) == pytest.approx(1.00537438, abs=5e-9)
    q, _ = np.linalg.qr(r.standard_normal((5, 5)))
    turned = relative(torch.tensor(3 * x @ q), torch.tensor(3 * anchors @ q)).numpy()
    np.testing.assert_allclose(turned, found, atol=1e-12)
    shifted = relative(torch.tensor(x + 0.5), torch.tensor(anchors + 0.5)).numpy()
    assert np.abs(shifted - found).max() == pytest.approx(0.45599123, abs=5e-9)
    centred = [relative(torch.tensor(x + s), torch.tensor(anchors + s), centre=True).numpy() for s in (0, 0.5)]
    np.testing.assert_allclose(*centred, atol=1e-12)
