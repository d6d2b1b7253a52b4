"""CKA against its closed forms, written down independently in float64 NumPy."""

import math

import numpy as np
import pytest
import torch

from cl_engine.errors import InputError
from cl_engine.metrics import linear_cka, unbiased_cka, unbiased_hsic
from cl_engine.metrics.similarity import u_centred


def drawn(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)) + 3.0


def hsic1(k, m):
    """HSIC_1 as Song et al. (2012) write it in theorem 2."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    one = np.ones(n)
    first = np.trace(k @ m)
    second = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    third = 2 / (n - 2) * (one @ k @ m @ one)
    return (first + second - third) / (n * (n - 3))


def hsic0(k, m):
    """The biased estimator, with the centring matrix."""
    n = len(k)
    h = np.eye(n) - 1 / n
    return np.trace(k @ h @ m @ h) / (n - 1) ** 2


def tensors(*arrays):
    return [torch.from_numpy(array) for array in arrays]


@pytest.mark.parametrize("n", [4, 5, 17])
def test_the_unbiased_estimator_is_that_of_the_paper(n):
    x, y = drawn(n, 6), drawn(n, 9, seed=1)
    k, m = x @ x.T, np.exp(-((y[:, None] - y[None]) ** 2).sum(-1))  # a kernel of another kind too
    assert unbiased_hsic(*tensors(k, m)) == pytest.approx(hsic1(k, m), rel=1e-9)
    assert unbiased_hsic(*tensors(k, k)) == pytest.approx(hsic1(k, k), rel=1e-9)


@pytest.mark.parametrize(("n", "d", "e"), [(30, 4, 7), (6, 20, 15), (9, 9, 3)])
def test_the_biased_one_is_a_ratio_of_centred_kernels_whichever_way_it_is_computed(n, d, e):
    x, y = drawn(n, d), drawn(n, e, seed=1)
    k, m = x @ x.T, y @ y.T
    expected = hsic0(k, m) / math.sqrt(hsic0(k, k) * hsic0(m, m))
    assert linear_cka(*tensors(x, y)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "size", "parts"), [(12, 256, [12]), (12, 6, [6, 6]), (13, 5, [5, 4, 4])])
def test_mini_batches_average_the_estimator_before_the_ratio_is_taken(n, size, parts):
    x, y = drawn(n, 5), drawn(n, 8, seed=1)
    ends = np.cumsum(parts)[:-1]
    sums = np.zeros(3)
    for a, b in zip(np.split(x, ends), np.split(y, ends), strict=True):
        k, m = a @ a.T, b @ b.T
        sums += [hsic1(k, m), hsic1(k, k), hsic1(m, m)]
    expected = sums[0] / math.sqrt(sums[1] * sums[2])
    assert unbiased_cka(*tensors(x, y), batch_size=size) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("cka", [linear_cka, unbiased_cka])
def test_turning_scaling_and_moving_a_representation_changes_nothing(cka):
    x, y = drawn(40, 6), drawn(40, 6, seed=1) + drawn(40, 6)
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))
    found = cka(*tensors(x, y))
    assert cka(*tensors(2.5 * x @ turn + 7, -0.1 * y)) == pytest.approx(found, rel=1e-9)
    assert cka(*tensors(x @ np.diag([1, 2, 3, 4, 5, 60.0]), y)) != pytest.approx(found, rel=1e-2)
    assert cka(*tensors(x, 4 * x @ turn)) == pytest.approx(1, abs=1e-9)


def test_few_samples_of_many_independent_features_are_alike_only_to_the_biased_estimator():
    pairs = [tensors(drawn(32, 512, seed), drawn(32, 512, seed + 100)) for seed in range(20)]
    assert np.mean([linear_cka(*pair) for pair in pairs]) > 0.8
    unbiased = [unbiased_cka(*pair) for pair in pairs]
    assert abs(np.mean(unbiased)) < 0.03
    assert min(unbiased) < 0 < max(unbiased)


def test_rows_and_columns_of_a_u_centred_kernel_sum_to_nothing():
    kernels = torch.from_numpy(np.stack([drawn(7, 7) @ drawn(7, 7).T, drawn(7, 3) @ drawn(7, 3).T]))
    centred = u_centred(kernels)
    assert centred.sum(1).abs().max() < 1e-9
    assert centred.sum(2).abs().max() < 1e-9
    assert centred.diagonal(dim1=1, dim2=2).abs().max() == 0


def test_what_is_the_same_for_every_sample_or_too_little_is_like_nothing():
    x = torch.from_numpy(drawn(8, 3))
    constant = torch.full((8, 3), 0.1) * torch.tensor([1.0, 1e-3, 1e3])
    assert linear_cka(x, constant) is None
    assert unbiased_cka(x, constant) is None
    assert unbiased_cka(x[:3], x[:3]) is None
    assert linear_cka(x[:, :0], x) is None


def test_feature_maps_are_flattened():
    x = torch.from_numpy(drawn(10, 24))
    assert unbiased_cka(x.view(10, 2, 3, 4), x) == pytest.approx(1)


def test_other_samples_and_too_small_batches_are_refused_in_one_line():
    x = torch.ones(5, 2)
    for call in (linear_cka, unbiased_cka):
        with pytest.raises(InputError, match=r"^CKA: features of 5 and of 4 samples; allowed: .*$"):
            call(x, x[:4])
    with pytest.raises(InputError, match=r"^mini-batch CKA: batches of 3; allowed: 4 samples or more$"):
        unbiased_cka(x, x, batch_size=3)
    with pytest.raises(InputError, match=r"^unbiased HSIC: .* allowed: \[N, N\] with N >= 4$"):
        unbiased_hsic(x, x)
