"""Codes of stored vectors and maps between spaces, against NumPy, SciPy and scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import minimize
from sklearn.linear_model import Ridge

from cl_engine.errors import InputError
from cl_engine.service.codes import stored, vector_bytes
from cl_engine.service.expected import expected_error
from cl_engine.service.maps import procrustes, ridge

DRAW = np.random.default_rng(2)
OLD, NEW = DRAW.standard_normal((50, 6)), DRAW.standard_normal((50, 6))


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_the_map_of_procrustes_is_that_of_scipy():
    expected, _ = orthogonal_procrustes(unit(OLD), unit(NEW))
    assert procrustes(OLD, NEW).numpy() == pytest.approx(expected, abs=1e-5)
    narrow = procrustes(OLD, NEW[:, :4]).double()
    assert (narrow.T @ narrow).numpy() == pytest.approx(np.eye(4), abs=1e-5)


def test_the_map_of_ridge_is_that_of_scikit_learn():
    expected = Ridge(alpha=0.02 * 50, fit_intercept=False).fit(unit(OLD), unit(NEW)).coef_.T
    assert ridge(OLD, NEW, penalty=0.02).numpy() == pytest.approx(expected, abs=1e-5)
    assert ridge(OLD, NEW[:, :3]).shape == (6, 3)


def test_the_expected_error_minimises_the_loss_of_fastfill_as_scipy_does():
    x, asked, penalty = unit(OLD), unit(NEW), 0.01
    errors = np.exp(OLD @ np.array([1.0, -0.5, 0.2, 0, 0, 0.8]) + 0.3 * DRAW.standard_normal(50))
    e = errors / errors.mean()

    def loss(w):
        s = x @ w[:6] + w[6]
        return np.mean(0.5 * np.exp(-s) * e + 0.5 * s) + penalty / 4 * (w[:6] ** 2).sum()

    w = minimize(loss, np.zeros(7), method="BFGS", options={"gtol": 1e-9}).x
    found = expected_error(torch.from_numpy(OLD), torch.from_numpy(errors), torch.from_numpy(NEW), penalty)
    assert found.numpy() == pytest.approx(np.exp(asked @ w[:6] + w[6]), rel=1e-3)


@pytest.mark.parametrize(("code", "least"), [("float32", 1 - 1e-6), ("float16", 1 - 1e-5), ("int8", 0.999)])
def test_a_stored_vector_points_where_the_original_does_and_takes_its_bytes(code, least):
    vectors = torch.from_numpy(1e-4 * DRAW.standard_normal((20, 64)))
    found = stored(vectors, code)
    assert torch.nn.functional.cosine_similarity(found, vectors.float()).min() >= least
    held = {"float32": torch.float32, "float16": torch.float16, "int8": torch.int8}[code]
    assert torch.equal(found.to(held).float(), found)  # so that the bytes are enough
    assert vector_bytes(64, code) == found.to(held)[0].nbytes
    assert stored(vectors, code, prefix=16).shape == (20, 16)
    assert vector_bytes(64, code, prefix=100) == vector_bytes(64, code)


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="code is 'zip'; allowed: float32, float16, int8, pq"):
        stored(torch.ones(1, 2), "zip")
    with pytest.raises(InputError, match=r"2 vectors, 1 errors, penalty 0\.001; allowed: as many"):
        expected_error(torch.ones(2, 3), torch.ones(1), torch.ones(1, 3))
    with pytest.raises(InputError, match="prefix is 0"):
        stored(torch.ones(1, 2), prefix=0)
    with pytest.raises(InputError, match="50 old and 49 new"):
        ridge(OLD, NEW[1:])
    with pytest.raises(InputError, match="penalty is 0"):
        ridge(OLD, NEW, penalty=0)
