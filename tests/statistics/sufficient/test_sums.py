"""Sums over samples against NumPy, scikit-learn and a QR of the augmented matrix."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from cl_engine.errors import InputError
from cl_engine.statistics.sufficient import Recursion, Sums, solve, symmetric
from cl_engine.statistics.sufficient.symmetric import (
    add_gram,
    add_to_diagonal,
    diagonal,
    pack,
    packed_length,
    product,
    unpack,
    whole,
)


def made(samples=300, width=20, classes=6, seed=0):
    """Return ReLU features with a decaying spectrum, and classes, as a stream of overlapping ones has them."""
    random = np.random.RandomState(seed)
    x = np.maximum(random.normal(size=(samples, width)) * np.linspace(1, 0.1, width) + 0.2, 0)
    y = random.randint(classes, size=samples)
    y[:classes] = range(classes)
    return torch.from_numpy(x), torch.from_numpy(y)


def by_qr(x, y, gamma, classes):
    """Return ridge weights by a QR of [X; sqrt(gamma) I], which never forms a Gram matrix."""
    x, onehot = x.numpy(), np.eye(classes)[y.numpy()]
    augmented = np.vstack([x, np.sqrt(gamma) * np.eye(x.shape[1])])
    q, r = np.linalg.qr(augmented)
    return np.linalg.solve(r, q.T @ np.vstack([onehot, np.zeros((x.shape[1], classes))]))


def relative(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def summed(x, y, batch, classes=6, **options):
    sums = Sums.empty(x.shape[1], classes, **options)
    for start in range(0, len(x), batch):
        sums.add(x[start : start + batch], y[start : start + batch])
    return sums


@pytest.mark.parametrize("width", [1, 2, 3, 6, 7, 64])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_both_forms_hold_the_matrix_that_numpy_computes(width, dtype):
    x = torch.from_numpy(np.random.RandomState(width).normal(size=(2 * width + 1, width))).to(dtype)
    right, expected = x[:width, :1].contiguous(), x.double().numpy().T @ x.double().numpy()
    near = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-10, "atol": 1e-10}
    for matrix in (torch.zeros(width, width, dtype=dtype), torch.zeros(packed_length(width), dtype=dtype)):
        for part in x.split(4):
            add_gram(matrix, part)
        np.testing.assert_allclose(whole(matrix), expected, **near)
        np.testing.assert_allclose(product(matrix, right), expected @ right.double().numpy(), **near)
        np.testing.assert_allclose(diagonal(matrix), np.diag(expected), **near)
        add_to_diagonal(matrix, 2.0)
        np.testing.assert_allclose(whole(matrix), expected + 2 * np.eye(width), **near)


def test_packing_loses_nothing():
    full = torch.from_numpy(np.random.RandomState(0).normal(size=(9, 9)))
    assert torch.equal(unpack(pack(full)), full.triu())
    assert pack(full).numel() == 9 * 10 // 2


@pytest.mark.parametrize("width", [1, 2, 7, 20])
def test_what_devices_without_blas_do_is_the_same(width):
    """Their products are in float32, so that the sums are right to seven digits; the rest is exact."""
    x, _ = made(width=width)
    for matrix in (torch.zeros(width, width, dtype=x.dtype), torch.zeros(packed_length(width), dtype=x.dtype)):
        symmetric._add_gram_elsewhere(matrix, x, 1.0)
        assert relative(whole(matrix), x.numpy().T @ x.numpy()) < 1e-6
        expected = np.linalg.solve(whole(matrix).numpy() + 0.5 * np.eye(width), x[:width].T.numpy())
        assert relative(symmetric._solve_elsewhere(matrix, 0.5, x[:width].T), expected) < 1e-9
        assert relative(product(matrix, x[:width].T), whole(matrix) @ x[:width].T) < 1e-12
    full = torch.from_numpy(np.random.RandomState(0).normal(size=(width, width)))
    assert torch.equal(symmetric._pack_elsewhere(full), pack(full))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("batch", [1, 7, 64, 300])
@pytest.mark.parametrize("gamma", [0.1, 100.0])
def test_no_batch_size_or_order_moves_the_weights_from_the_qr_of_all_samples(batch, gamma, packed):
    x, y = made()
    order = torch.from_numpy(np.random.RandomState(batch).permutation(len(x)))
    found = summed(x[order], y[order], batch, packed=packed).weights(gamma)
    assert found.gamma == gamma
    assert relative(found.weights, by_qr(x, y, gamma, 6)) < 1e-9


def test_a_thousand_experiences_end_at_the_joint_solution():
    x, y = made(3000, 1024, 100)
    order, sums = np.argsort(y.numpy(), kind="stable"), Sums.empty(1024)
    for part in np.array_split(order, 1000):
        sums.grow(max(len(sums.counts), int(y[part].max()) + 1))
        sums.add(x[part], y[part])
    theirs = Ridge(alpha=0.1, fit_intercept=False, solver="cholesky").fit(x.numpy(), np.eye(100)[y.numpy()])
    assert relative(sums.weights(0.1).weights, theirs.coef_.T) < 1e-9


def test_g_is_symmetric_and_has_no_negative_eigenvalue_and_n_sums_to_all():
    x, y = made()
    sums = summed(x, y, 7, packed=True)
    gram = whole(sums.gram)
    values = torch.linalg.eigvalsh(gram)
    assert torch.equal(gram, gram.T)
    assert values[0] >= -1e-10 * values[-1]
    assert sums.counts.tolist() == np.bincount(y).tolist()


@pytest.mark.parametrize("times", [2, 3])
def test_repeated_passes_are_a_smaller_gamma(times):
    x, y = made()
    repeated = Sums.empty(20, 6)
    for _ in range(times):
        repeated.add(x, y)
    assert relative(repeated.weights(1.0).weights, by_qr(x, y, 1.0 / times, 6)) < 1e-8


def test_a_class_that_comes_last_has_the_joint_column():
    x, y = made()
    late = y == 5
    sums = Sums.empty(20, 5)
    sums.add(x[~late], y[~late])
    sums.grow(6)
    sums.add(x[late], y[late])
    assert relative(sums.weights(0.1).weights[:, 5], by_qr(x, y, 0.1, 6)[:, 5]) < 1e-9


def test_relabelling_permutes_the_columns():
    x, y = made()
    names = torch.tensor([3, 1, 5, 0, 2, 4])
    plain, renamed = summed(x, y, 50).weights(0.1).weights, summed(x, names[y], 50).weights(0.1).weights
    assert relative(renamed[:, names], plain) < 1e-12


def test_the_bias_is_scikit_learns_intercept():
    x, y = made()
    theirs = Ridge(alpha=0.5, solver="cholesky").fit(x.numpy(), np.eye(6)[y.numpy()])
    for packed in (False, True):
        found = summed(x, y, 64, packed=packed).weights(0.5, bias=True)
        assert relative(found.weights, theirs.coef_.T) < 1e-9
        assert relative(found.bias, theirs.intercept_) < 1e-9


def test_the_whole_path_comes_from_one_decomposition():
    x, y = made()
    spectrum = summed(x, y, 64).spectrum()
    for gamma in (1e-3, 0.1, 1.0, 100.0, 1e4):
        assert relative(spectrum.weights(gamma), by_qr(x, y, gamma, 6)) < 1e-9


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**31 - 1))
def test_shards_merge_to_the_sums_over_all(shards, seed):
    x, y = made()
    owner = torch.from_numpy(np.random.RandomState(seed).randint(shards, size=len(x)))
    total = Sums.empty(20, packed=True)
    for shard in range(shards):
        part = owner == shard
        total.merge(summed(x[part], y[part], 64, packed=shard % 2 == 0))
    assert total.counts.tolist() == np.bincount(y).tolist()
    assert relative(total.weights(0.1).weights, by_qr(x, y, 0.1, 6)) < 1e-9


@pytest.mark.parametrize("packed", [False, True])
def test_samples_taken_away_leave_what_never_saw_them(packed):
    x, y = made()
    gone = y == 2
    sums = summed(x, y, 64, packed=packed)
    sums.subtract(x[gone], y[gone])
    expected = by_qr(x[~gone], y[~gone], 0.1, 6)
    assert sums.counts[2] == 0
    assert relative(sums.weights(0.1).weights, expected) < 1e-9
    again = summed(x, y, 64, packed=packed)
    again.remove(summed(x[gone], y[gone], 64, packed=packed))
    assert relative(again.weights(0.1).weights, expected) < 1e-9


def test_nobody_can_tell_the_samples_of_an_unlearned_class_from_others_of_it():
    """A membership attack by the score of the own class: right far more often than not before, as chance after."""
    random = np.random.RandomState(0)
    x, y = torch.from_numpy(random.normal(size=(400, 600))), torch.from_numpy(np.arange(400) % 4)
    members, others = np.arange(400) < 200, np.arange(400) >= 200
    sums = summed(x[members], y[members], 64, classes=4)

    def attacked():
        """Return how often a member scores higher than a sample that was never seen, both of class 2."""
        score = (x @ sums.weights(0.1).weights).numpy()[:, 2]
        mine, theirs = score[members & (y.numpy() == 2)], score[others & (y.numpy() == 2)]
        return (mine[:, None] > theirs).mean() + (mine[:, None] == theirs).mean() / 2

    assert attacked() > 0.9
    gone = torch.from_numpy(members) & (y == 2)
    sums.subtract(x[gone], y[gone])
    assert abs(attacked() - 0.5) < 0.13  # two standard errors, 50 against 50


def test_what_was_never_added_cannot_be_taken_away():
    x, y = made()
    sums = summed(x, y, 64)
    before = sums.gram.clone()
    for wrong in (
        lambda: sums.subtract(x.repeat(2, 1), y.repeat(2)),
        lambda: sums.remove(summed(x, y, 9, classes=7)),
    ):
        with pytest.raises(InputError, match="taken away"):
            wrong()
    with pytest.raises(InputError, match="3 features beside 20"):
        sums.merge(Sums.empty(3))
    assert torch.equal(before, sums.gram)


def test_means_scatter_and_loss_need_no_sample():
    x, y = made()
    sums, n = summed(x, y, 64), np.bincount(y)
    means = np.stack([x.numpy()[y.numpy() == c].mean(0) for c in range(6)])
    centred = x.numpy() - means[y.numpy()]
    weights = sums.weights(0.1).weights
    assert relative(sums.means(), means) < 1e-12
    assert relative(sums.scatter(), centred.T @ centred) < 1e-12
    assert float(sums.loss(weights)) == pytest.approx(((np.eye(6)[y] - x.numpy() @ weights.numpy()) ** 2).sum())
    assert sums.trace() == pytest.approx((x.numpy() ** 2).sum())
    assert n.sum() == len(x)


def test_single_precision_is_near_after_a_million_samples():
    random, mixing = np.random.RandomState(0), np.random.RandomState(1).normal(size=(16, 24)) / 4
    centres, exact, single = random.normal(size=(10, 16)), Sums.empty(24, 10), None
    single = Sums.empty(24, 10, packed=True, dtype=torch.float32)
    for _ in range(100):
        y = torch.from_numpy(random.randint(10, size=10_000))
        x = (torch.from_numpy(centres[y] + random.standard_normal((10_000, 16))) @ torch.from_numpy(mixing)).relu()
        exact.add(x, y)
        single.add(x, y)
    ours, theirs = single.weights(0.1).weights, exact.weights(0.1).weights
    assert relative(ours, theirs) < 5e-4
    assert ((x @ ours).argmax(1) == (x @ theirs).argmax(1)).double().mean() >= 0.999


@pytest.mark.parametrize("batch", [1, 7, 64, 300])
@pytest.mark.parametrize("gamma", [0.1, 100.0])
def test_the_recursion_agrees_with_the_sums(batch, gamma):
    x, y = made()
    learner = Recursion.empty(20, gamma)
    for start in range(0, len(x), batch):
        learner.grow(max(len(learner.solution), int(y[: start + batch].max()) + 1))
        learner.update(x[start : start + batch], y[start : start + batch])
    assert float(learner.gamma) == gamma
    assert relative(learner.solution.T, summed(x, y, 64).weights(gamma).weights) < 1e-8
    assert relative(whole(learner.inverse), np.linalg.inv(x.T.numpy() @ x.numpy() + gamma * np.eye(20))) < 1e-8


def test_the_published_gain_of_exposed_classes_is_the_one_line_form():
    """The paper's two parts, W without the gain and the gain itself, with published names, in float64 NumPy."""
    x, y = made(seed=3)
    batches = [(np.arange(len(y)) % 5 == k) & ((y.numpy() < 2 + k) | (k == 4)) for k in range(5)]
    r, w, seen = np.eye(20) / 0.1, np.zeros((20, 0)), np.zeros(6, bool)
    learner, order = Recursion.empty(20, 0.1), np.zeros(0, int)
    for part in batches:
        xb, yb = x.numpy()[part], y.numpy()[part]
        new = [c for c in np.unique(yb) if not seen[c]]
        exposed, seen[new] = order, True
        order = np.concatenate([order, new]).astype(int)
        core = np.linalg.inv(np.eye(len(xb)) + xb @ r @ xb.T)
        r = r - r @ xb.T @ core @ xb @ r
        bar, tilde = (yb[:, None] == exposed).astype(float), (yb[:, None] == np.array(new, int)).astype(float)
        unexposed = np.hstack([w - r @ xb.T @ xb @ w, r @ xb.T @ tilde])
        w = unexposed + np.hstack([r @ xb.T @ bar, np.zeros((20, len(new)))])
        ids = torch.from_numpy(np.argsort(order)[np.searchsorted(np.sort(order), yb)])
        learner.grow(len(order))
        learner.update(x[part], ids)
        assert relative(learner.solution.T, w) < 1e-8


def test_a_system_that_cannot_be_solved_is_of_a_larger_gamma_and_says_which():
    x = torch.tensor([[1e6, 1e6], [2e6, 2e6]], dtype=torch.float64)
    sums = Sums.empty(2, 2)
    sums.add(x, torch.tensor([0, 1]))
    found = sums.weights(1e-12)
    assert found.gamma > 1e-12
    assert relative(x @ found.weights, x.numpy() @ by_qr(x, torch.tensor([0, 1]), found.gamma, 2)) < 1e-7
    with pytest.raises(FloatingPointError, match="finite"):
        solve(torch.full((2, 2), torch.nan), torch.ones(2, 1), 0.1)


def test_a_recursion_that_loses_its_digits_raises_gamma_and_goes_on_right():
    """R of a gamma that these features leave no digits of; the sums are solved for the gamma that it ends with."""
    x, y = made(seed=5)
    learner, sums = Recursion.empty(20, 1e-14), Sums.empty(20, 6)
    learner.grow(6)
    for start in range(0, len(x), 10):
        part = slice(start, start + 10)
        learner.update(1e4 * x[part].round(decimals=1), y[part])
        sums.add(1e4 * x[part].round(decimals=1), y[part])
    used = float(learner.gamma)
    assert used > 1e-14
    assert torch.isfinite(learner.solution).all()
    assert relative(learner.solution.T, sums.weights(used).weights) < 1e-2


def test_a_class_that_there_is_no_room_for_leaves_the_sums_as_they_were():
    x, y = made()
    sums = Sums.empty(20, 5)
    with pytest.raises(InputError, match="class 5 where there is room for 5"):
        sums.add(x, y)
    assert not sums.gram.any()
    assert not sums.cross.any()
