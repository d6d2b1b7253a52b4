"""FeCAM: distances against published numbers and NumPy; sums that are exact in any order; what stands still."""

import numpy as np
import pytest
import torch

from cl_engine.memory.ledger import ledger
from cl_engine.strategies.prototypes.fecam import FeCAM, distances, factors, transformed
from cl_engine.testing import check_strategy
from tests.strategies.fixed import copied, digits, equal, learned, rebuilder


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def published():
    r = np.random.default_rng(18)
    features = np.abs(r.standard_normal((2, 12, 4))) + np.array([0.0, 1.0])[:, None, None] * np.array(
        [1.0, 0, 0, 0]
    )
    return features, np.abs(r.standard_normal((3, 4)))


def oracle(features, x, power, variance, covariance):
    """Return squared distances ``[B, C]`` of features ``[C, N, D]`` and samples ``[B, D]`` in float64 NumPy."""
    found = []
    for of_class in features:
        c = np.cov((of_class**power).T)
        off = ~np.eye(len(c), dtype=bool)
        for _ in range(2):
            c = c + variance * np.diag(c).mean() * np.eye(len(c)) + covariance * c[off].mean() * off
        c /= np.sqrt(np.outer(np.diag(c), np.diag(c)))
        away = unit(x**power) - unit(of_class.mean(0, keepdims=True) ** power)
        found.append(np.einsum("id,de,ie->i", away, np.linalg.pinv(c), away))
    return np.array(found).T


def ours(features, x, power=0.5, variance=1.0, covariance=1.0):
    tukey = transformed(torch.tensor(features), power)
    covariances = torch.stack([each.T.cov() for each in tukey])
    means = torch.nn.functional.normalize(transformed(torch.tensor(features).mean(1), power))
    rows = torch.nn.functional.normalize(transformed(torch.tensor(x), power))
    return distances(rows, means, factors(covariances, variance, covariance)).numpy()


def test_distances_equal_the_published_numbers():
    expected = [(0.03093830, 0.13313619), (0.49889156, 0.78775277), (0.74662190, 0.63367470)]
    np.testing.assert_allclose(ours(*published()), expected, atol=6e-9)


@pytest.mark.parametrize("options", [(0.5, 1.0, 1.0), (1.0, 0.3, 0.0), (0.7, 2.0, 1.0)])
def test_distances_are_those_of_the_shrunk_correlation(options):
    r = np.random.default_rng(1)
    features, x = r.random((3, 20, 5)), r.random((7, 5))
    np.testing.assert_allclose(ours(features, x, *options), oracle(features, x, *options), rtol=1e-8)


def test_directions_without_variance_are_left_out_as_by_a_pseudo_inverse():
    r = np.random.default_rng(2)
    features, x = r.random((2, 4, 6)), r.random((3, 6))  # four samples span three directions
    np.testing.assert_allclose(ours(features, x, 0.5, 0.0, 0.0), oracle(features, x, 0.5, 0.0, 0.0), rtol=1e-6)


def test_a_class_without_any_variance_is_compared_by_distance():
    assert torch.equal(factors(torch.zeros(1, 3, 3), 1.0, 1.0).abs(), torch.eye(3)[None])
    assert torch.equal(factors(torch.zeros(1, 3), 1.0, 1.0), torch.ones(1, 3))


def test_variances_alone_are_scaled_to_a_mean_of_one():
    variances = np.array([1.0, 2.0, 6.0])
    shrunk = variances + 3.0
    shrunk += shrunk.mean()
    expected = np.sqrt(shrunk.mean() / shrunk)
    np.testing.assert_allclose(factors(torch.tensor(variances)[None], 1.0, 1.0)[0], expected)


@pytest.mark.parametrize("covariance", ["full", "common", "diagonal"])
def test_samples_in_parts_with_classes_that_return_are_the_same_as_all_at_once(covariance):
    r = np.random.default_rng(3)
    x, y = r.random((60, 24)).astype("f4"), r.integers(0, 4, 60)
    made = rebuilder(FeCAM, shape=(24,), backbone="identity", covariance=covariance).begun(2)
    for part in np.array_split(np.arange(60), [1, 9, 30, 31]):
        made.add(torch.tensor(x[part]), torch.tensor(y[part]))
    each = [np.cov(np.sqrt(x[y == c]).T.astype("f8")) for c in range(4)]
    if covariance == "common":
        freedom = np.array([(y == c).sum() - 1 for c in range(4)])
        expected = np.average(each, axis=0, weights=freedom)[None]
    else:
        expected = np.stack([np.diag(c) if covariance == "diagonal" else c for c in each])
    np.testing.assert_allclose(made.covariances(), expected, rtol=1e-3, atol=1e-5)
    means = [x[y == c].mean(0) for c in range(4)]
    np.testing.assert_allclose(made.means.rows, means, rtol=1e-5)


def test_the_backbone_learns_in_the_first_experience_and_stands_still_ever_after():
    made = rebuilder(FeCAM)
    begun = copied(made.begun(1).backbone)
    first, task = learned(made, 1)
    assert not equal(begun, copied(first.backbone))
    assert task.transient["head"] == 4 * 2 * (128 + 1)
    later, task = learned(made, 3)
    assert equal(copied(first.backbone), copied(later.backbone))
    assert "gradients" not in task.transient
    x = digits(0, 1, 2, 3, 4)
    assert (later.predict(x.x).argmax(1) == x.y).float().mean() > 0.8


def test_a_frozen_backbone_is_not_trained_at_all():
    _, task = learned(rebuilder(FeCAM, backbone="identity"), 1)
    assert not {"gradients", "head"} & task.transient.keys()


@pytest.mark.parametrize(
    ("covariance", "floats"), [("full", 4 * 128**2), ("common", 128**2), ("diagonal", 4 * 128)]
)
def test_covariances_and_two_means_a_class_are_held(covariance, floats):
    entries = {e.name: e for e in ledger(rebuilder(FeCAM, covariance=covariance).begun(2))}
    assert entries["scatter"].bytes == 4 * floats
    assert entries["means.rows"].bytes == entries["transformed.rows"].bytes == 4 * 4 * 128
    assert not [e for e in entries.values() if e.kind in ("head", "exemplars")]


@pytest.mark.parametrize("covariance", ["full", "common", "diagonal"])
def test_the_contract_is_kept(covariance):
    check_strategy(FeCAM, on=("features", "repeating-classes"), covariance=covariance)
    if covariance == "full":
        check_strategy(FeCAM, on=("hidden-boundaries",))
