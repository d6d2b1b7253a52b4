"""Imprinting: k-means of directions, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from cl_engine.models.imprinting import imprinted


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_clusters_are_as_tight_as_those_of_scikit_learn_from_the_same_start():
    x = np.random.default_rng(2).standard_normal((90, 5)) + 2
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    start = unit[torch.randperm(90, generator=generator()).numpy()[:4]]
    centres = KMeans(4, init=start, n_init=1, max_iter=20, tol=0).fit(unit).cluster_centers_
    found = imprinted(torch.tensor(x), 4, generator())
    np.testing.assert_allclose(found, centres / np.linalg.norm(centres, axis=1, keepdims=True), atol=1e-9)


def test_one_proxy_is_the_mean_direction():
    x = torch.randn(7, 3, generator=generator(), dtype=torch.float64)
    mean = (x / x.norm(dim=1, keepdim=True)).mean(0)
    torch.testing.assert_close(imprinted(x, 1, generator())[0], mean / mean.norm())


@pytest.mark.parametrize("rows", [1, 2])
def test_fewer_samples_than_proxies_give_directions_all_the_same(rows):
    found = imprinted(torch.randn(rows, 3, generator=generator()), 5, generator())
    torch.testing.assert_close(found.norm(dim=1), torch.ones(5))
