"""AIR, DS-AL and AEF-OCL against what NumPy makes of their formulas."""

import numpy as np
import pytest
import torch

from tests.strategies.closed_form.streams import (
    CLASSES,
    PARTS,
    data,
    experiences,
    learned,
    projection,
    relative,
    ridge,
    saved,
    scores,
)

X, Y = data()
ONEHOT, COUNTS = np.eye(CLASSES)[Y], np.bincount(Y)
H = X.astype("f8") @ projection()
PHI = np.maximum(H, 0)


@pytest.fixture
def given(tmp_path):
    return {"projection": saved(tmp_path / "projection.npz", projection=projection())}


@pytest.mark.parametrize("batch", [None, 1, 7])
@pytest.mark.parametrize("gamma", [0.1, 100.0])
@pytest.mark.parametrize("counts", ["seen", "released"])
def test_air_is_ridge_in_which_every_class_weighs_the_same(batch, gamma, counts, given):
    strategy = learned("air", {**given, "gamma": gamma, "counts": counts}, batch=batch)
    weights = (CLASSES / COUNTS / (1 / COUNTS).sum())[Y]
    assert weights.mean() != pytest.approx(1)
    assert relative(strategy.weights(), ridge(PHI, ONEHOT, gamma, weights)) < 1e-9
    assert float(strategy.class_weights().sum()) == pytest.approx(CLASSES)


def test_air_of_equal_counts_is_acil(given):
    equal = np.concatenate([np.flatnonzero(c == Y)[:8] for c in range(CLASSES)])
    air, acil = (learned(kind, given, x=X[equal], y=Y[equal]).weights() for kind in ("air", "acil"))
    assert relative(air, acil) < 1e-9


def test_airs_released_count_is_the_highest_label_so_far(given):
    """Of classes 0, 1, 2 only 0 and 2 have come up: 2 classes have samples, the highest label is the third."""
    part = np.flatnonzero((Y == 0) | (Y == 2))
    found = {
        c: learned("air", {**given, "counts": c}, x=X[part], y=Y[part], parts=[(0, 1, 2)]).class_weights().sum()
        for c in ("seen", "released")
    }
    assert {c: pytest.approx(float(s)) for c, s in found.items()} == {"seen": 2, "released": 3}


def dsal(gamma, other_gamma, batches):
    """Return both weights: ``batches`` are lists of rows, each with the classes whose residual counts."""
    gram, cross = np.eye(9) * gamma, np.zeros((9, CLASSES))
    other_gram, other_cross, tanh = np.eye(9) * other_gamma, np.zeros((9, CLASSES)), np.tanh(H)
    for rows, classes in batches:
        gram, cross = gram + PHI[rows].T @ PHI[rows], cross + PHI[rows].T @ ONEHOT[rows]
        left = ONEHOT[rows] - PHI[rows] @ np.linalg.solve(gram, cross)
        left[:, [c for c in range(CLASSES) if c not in classes]] = 0
        other_gram, other_cross = other_gram + tanh[rows].T @ tanh[rows], other_cross + tanh[rows].T @ left
    return np.linalg.solve(gram, cross), np.linalg.solve(other_gram, other_cross)


@pytest.mark.parametrize("batch", [None, 7])
def test_dsal_compensates_what_is_left_over_after_an_experience(batch, given):
    options = {**given, "gamma": 0.2, "gamma_compensation": 0.5, "compensation": 0.8}
    main, other = dsal(0.2, 0.5, [(rows, set(Y[rows])) for rows in experiences(X, Y)])
    expected = PHI @ main + 0.8 * np.tanh(H) @ other
    assert relative(scores(learned("ds-al", options, batch=batch), X), expected) < 1e-9


def test_dsal_as_released_compensates_after_each_batch(given):
    options = {**given, "gamma": 0.2, "gamma_compensation": 0.5, "residual": "batch"}
    batches = []
    for rows in experiences(X, Y):
        parts = [rows[start : start + 20] for start in range(0, len(rows), 20)]
        batches += [(part, set(Y[rows[: (k + 1) * 20]])) for k, part in enumerate(parts)]
    main, other = dsal(0.2, 0.5, batches)
    expected = PHI @ main + 0.6 * np.tanh(H) @ other
    assert relative(scores(learned("ds-al", options, batch=20), X), expected) < 1e-9
    whole = scores(learned("ds-al", {**options, "residual": "experience"}, batch=20), X)
    assert relative(whole, expected) > 1e-3  # the two are different methods


@pytest.mark.parametrize("residual", ["experience", "batch"])
def test_dsal_without_compensation_is_acil(residual, given):
    plain = scores(learned("acil", given), X)
    none = scores(learned("ds-al", {**given, "compensation": 0.0, "residual": residual}), X)
    assert relative(none, plain) < 1e-12


def test_aef_ocl_fills_every_class_up_to_the_largest(given):
    """Without noise a pseudo feature is the mean of its class, so all is known."""
    extra = COUNTS.max() - COUNTS
    means = np.stack([X[c == Y].astype("f8").mean(0) for c in range(CLASSES)])
    phi = np.vstack([PHI, np.repeat(np.maximum(means @ projection(), 0), extra, axis=0)])
    onehot = np.vstack([ONEHOT, np.repeat(np.eye(CLASSES), extra, axis=0)])
    for batch in (None, 7):
        strategy = learned("aef-ocl", {**given, "noise": 0.0}, batch=batch)
        assert relative(strategy.weights(), ridge(phi, onehot, 0.1)) < 1e-9


def test_aef_ocls_pseudo_features_spread_as_their_class_does(given):
    strategy = learned("aef-ocl", given)
    mean, deviation = strategy.moments()
    for c in range(CLASSES):
        own = X[c == Y].astype("f8")
        assert relative(mean[c], own.mean(0)) < 1e-6
        assert relative(deviation[c], own.std(0, ddof=1)) < 1e-6
    single = learned("aef-ocl", given, x=X[:CLASSES], y=Y[:CLASSES])
    assert not single.moments()[1].any()


def test_aef_ocl_asked_twice_says_the_same_and_keeps_no_pseudo_feature(given):
    strategy = learned("aef-ocl", given)
    before = {name: value.clone() for name, value in strategy.state_dict().items()}
    first = scores(strategy, X)
    strategy._solved = None
    assert np.array_equal(first, scores(strategy, X))
    assert all(torch.equal(before[name], value) for name, value in strategy.state_dict().items())
    assert strategy.counts.tolist() == COUNTS.tolist()


def test_aef_ocl_of_equal_counts_is_acil(given):
    equal = np.concatenate([np.flatnonzero(c == Y)[:8] for c in range(CLASSES)])
    air, acil = (learned(kind, given, x=X[equal], y=Y[equal]).weights() for kind in ("aef-ocl", "acil"))
    assert relative(air, acil) < 1e-12


@pytest.mark.parametrize("kind", ["air", "aef-ocl"])
def test_no_order_or_division_into_experiences_moves_the_weights(kind, given):
    options = {**given, **({"noise": 0.0} if kind == "aef-ocl" else {})}
    expected = learned(kind, options).weights()
    assert relative(learned(kind, options, order=lambda rows: rows[::-1].copy()).weights(), expected) < 1e-9
    assert relative(learned(kind, options, parts=[tuple(range(CLASSES))]).weights(), expected) < 1e-9


def test_the_stream_has_returning_rare_and_late_classes():
    parts = experiences(X, Y)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(Y)))
    assert [sorted(set(Y[rows])) for rows in parts] == [sorted(part) for part in PARTS]
