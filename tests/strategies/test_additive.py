"""Samples that are taken away were never there; what others saw is as if one had seen all."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge

from cl_engine.data.samples import Samples
from cl_engine.errors import InputError
from cl_engine.strategies.closed_form.kept import others
from tests.strategies.closed_form.streams import (
    CLASSES,
    FEATURES,
    data,
    learned,
    projection,
    relative,
    saved,
    scores,
)

GAMMA = 0.1
RIDGES = {
    "acil": {"gamma": GAMMA},
    "acil packed": {"gamma": GAMMA, "storage": "packed"},
    "acil smallest": {"gamma": GAMMA, "storage": "smallest"},
    "g-acil": {"gamma": GAMMA},
    "f-oal": {"gamma": GAMMA},
    "ranpac": {"ridge": GAMMA},
    "gkeal": {"gamma": GAMMA, "sigma": 2.0},
    "air": {"gamma": GAMMA},
}
OTHERS = {"aef-ocl": {"width": 9}, "slda": {}, "lda": {}, "ncm": {}}
LARGE = {"acil smallest folded": {"gamma": GAMMA, "storage": "smallest", "width": 3}}
INEXACT = {
    "acil": {"solver": "recursive", "width": 9},
    "g-acil": {"ablate": "eclg"},
    "ranpac": {"ridge": "search", "width": 9},
    "gkeal": {"width": 9},
    "slda": {"variant": "released"},
}


def options(name, tmp_path):
    """Return the kind and the options of a case; ridges have a projection (or centres) by number."""
    found = dict({**RIDGES, **OTHERS, **LARGE}[name])
    kind = name.partition(" ")[0]
    if kind == "gkeal":
        found["centres"] = saved(tmp_path / "c.npz", centres=projection().T)
    elif name in RIDGES:
        found["projection"] = saved(tmp_path / "p.npz", projection=projection(80 if "smallest" in name else 9))
    return kind, found


def part(x, y, rows):
    return Samples(torch.from_numpy(x[rows]), torch.from_numpy(y[rows]))


def gone(kind, x, y):
    """Return samples to take away: a class, or a few of all classes."""
    if kind == "a class":
        return y == 1
    few = np.zeros(len(y), bool)
    few[10::7] = True  # of every class some remain
    return few


def ridge_of_scikit_learn(phi, y, gamma, weight=None):
    """Return W ``[d, CLASSES]`` of joint ridge regression; zero columns for classes without samples."""
    model = Ridge(alpha=gamma, fit_intercept=False, solver="cholesky")
    return model.fit(phi, np.eye(CLASSES)[y], sample_weight=weight).coef_.T


@pytest.mark.parametrize("what", ["a class", "a few"])
@pytest.mark.parametrize("name", RIDGES)
def test_after_unlearning_the_weights_are_scikit_learns_of_what_remains(name, what, tmp_path):
    kind, given = options(name, tmp_path)
    x, y = data()
    strategy = learned(kind, given, x=x, y=y)
    away = gone(what, x, y)
    strategy.unlearn(part(x, y, away))
    phi = strategy.features(torch.from_numpy(x[~away])).numpy()
    weight = None
    if kind == "air":
        counts = np.bincount(y[~away], minlength=CLASSES)
        inverse = np.divide(1, counts, out=np.zeros(CLASSES), where=counts > 0)
        weight = (inverse * (counts > 0).sum() / inverse.sum())[y[~away]]
    expected = ridge_of_scikit_learn(phi, y[~away], GAMMA, weight)
    assert relative(strategy.readout(), expected) < 1e-9
    assert strategy.counts.tolist() == np.bincount(y[~away], minlength=CLASSES).tolist()


@pytest.mark.parametrize("name", [*RIDGES, *OTHERS, *LARGE])
def test_unlearning_ends_as_a_run_that_never_saw_the_samples(name, tmp_path):
    kind, given = options(name, tmp_path)
    x, y = data()
    away = gone("a few", x, y)
    strategy = learned(kind, given, x=x, y=y)
    away |= y == 4  # and a class in full
    strategy.unlearn(part(x, y, away))
    strategy.renumber(torch.arange(4))
    never = learned(kind, given, x=x[~away], y=y[~away], parts=[(0, 1), (1, 2), (0, 2, 3), (0, 1), (3,)])
    assert scores(strategy, x).shape == (len(x), 4)
    assert relative(scores(strategy, x), scores(never, x)) < 1e-8
    assert relative(strategy.readout(), never.readout()) < 1e-9


@pytest.mark.parametrize("shards", [2, 5])
@pytest.mark.parametrize("name", [*RIDGES, *OTHERS, *LARGE])
def test_runs_over_shards_merge_into_the_run_over_all(name, shards, tmp_path):
    kind, given = options(name, tmp_path)
    x, y = data(400)
    x, y = np.concatenate([x] * 2), np.concatenate([y] * 2)  # every shard has every class in every experience
    x[400:] += 0.25
    whole = learned(kind, given, x=x, y=y)
    share = np.zeros(len(y), int)
    for c in range(CLASSES):
        rows = np.flatnonzero(y == c)
        share[rows] = np.arange(len(rows)) % shards
    first, *rest = (learned(kind, given, x=x[share == k], y=y[share == k]) for k in range(shards))
    for other in rest:
        first.merge(other)
    assert first.counts.tolist() == whole.counts.tolist()
    assert relative(scores(first, x), scores(whole, x)) < 1e-8
    assert relative(first.readout(), whole.readout()) < 1e-9


def test_lda_after_unlearning_is_scikit_learns_of_what_remains():
    x, y = data(600)
    strategy = learned("lda", {"shrinkage": 0.1}, x=x, y=y)
    away = y == 1
    strategy.unlearn(part(x, y, away))
    strategy.renumber(torch.tensor([0, 2, 3, 4]))
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1).fit(x[~away].astype(float), y[~away])
    ours, theirs = scores(strategy, x), model.decision_function(x.astype(float))
    assert relative(ours - ours.mean(1, keepdims=True), theirs - theirs.mean(1, keepdims=True)) < 1e-6


def test_slda_after_unlearning_is_that_of_means_and_pooled_covariance_in_numpy():
    x, y = data(600)
    strategy = learned("slda", {"epsilon": 0.01}, x=x, y=y)
    away = gone("a few", x, y)
    strategy.unlearn(part(x, y, away))
    x, y = x[~away].astype(float), y[~away]
    means = np.stack([x[y == c].mean(0) for c in range(CLASSES)])
    centred = x - means[y]
    covariance = 0.99 * centred.T @ centred / len(x) + 0.01 * np.eye(FEATURES)
    assert relative(strategy.discriminants()[0], np.linalg.solve(covariance, means.T)) < 1e-9


def test_no_attack_tells_members_of_an_unlearned_class_from_strangers(tmp_path):
    """Scores of samples that were unlearned and of others of their class come from the same distribution."""
    kind, given = options("g-acil", tmp_path)
    x, y = data(2000)
    members = (y == 0) & (np.arange(len(y)) % 2 == 0)
    strangers = (y == 0) & ~members
    strategy = learned(kind, given, x=x[~strangers], y=y[~strangers])
    strategy.unlearn(part(x, y, members))
    strategy.renumber(torch.tensor([1, 2, 3, 4]))
    inside, outside = (np.sort(scores(strategy, x[rows]).max(1)) for rows in (members, strangers))
    wins = np.searchsorted(outside, inside).mean() / len(outside)  # area under the attack's curve
    assert abs(wins - 0.5) < 3 * np.sqrt(1 / 12 * (1 / len(inside) + 1 / len(outside)))


@pytest.mark.parametrize("kind", INEXACT)
def test_what_cannot_be_exact_says_so_in_one_line_and_changes_nothing(kind):
    x, y = data()
    strategy = learned(kind, INEXACT[kind], x=x, y=y)
    before = {name: tensor.clone() for name, tensor in strategy.state_dict().items()}
    for attempt in (lambda: strategy.unlearn(part(x, y, y == 0)), lambda: strategy.merge(strategy)):
        with pytest.raises(InputError, match=r"cannot (unlearn|be merged) exactly: .*; allowed: ") as told:
            attempt()
        assert "\n" not in str(told.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in strategy.state_dict().items())


def test_sums_in_single_precision_can_be_merged_and_not_unlearned():
    x, y = data()
    strategy = learned("acil", {"storage": "float32"}, x=x, y=y)
    with pytest.raises(InputError, match="float32 leaves a rest"):
        strategy.unlearn(part(x, y, y == 0))
    strategy.merge(learned("acil", {"storage": "float32"}, x=x, y=y))
    assert strategy.counts.tolist() == (2 * np.bincount(y)).tolist()


@pytest.mark.parametrize("name", ["acil", "acil smallest", "air", "ncm", "lda"])
def test_more_than_was_learned_is_refused_and_nothing_is_changed(name, tmp_path):
    kind, given = options(name, tmp_path)
    x, y = data()
    strategy = learned(kind, given, x=x, y=y)
    before = {name: tensor.clone() for name, tensor in strategy.state_dict().items()}
    twice = part(np.concatenate([x, x]), np.concatenate([y, y]), slice(None))
    with pytest.raises(InputError, match="allowed: samples that were learned"):
        strategy.unlearn(twice)
    with pytest.raises(InputError, match="allowed: each class once"):
        strategy.renumber(torch.tensor([0, 1, 1, 2, 3]))
    assert all(torch.equal(before[name], tensor) for name, tensor in strategy.state_dict().items())


def test_another_projection_or_other_classes_are_not_merged():
    x, y = data()
    strategy = learned("acil", {"width": 9}, x=x, y=y)
    with pytest.raises(InputError, match="differ in projection; allowed: the same backbone and projection"):
        strategy.merge(learned("acil", {"width": 9}, x=x, y=y, seed=6))
    with pytest.raises(InputError, match="NCM of 5 classes beside ACIL of 5; allowed"):
        strategy.merge(learned("ncm", x=x, y=y))


def test_kept_features_go_as_often_as_asked_and_never_more_often_than_they_are_there():
    kept, labels = torch.tensor([[1.0], [2.0], [1.0], [1.0]]), torch.tensor([0, 0, 0, 1])
    assert others(kept, labels, kept[[0, 3]], torch.tensor([0, 1])).tolist() == [True, True, False, False]
    with pytest.raises(InputError, match="not kept"):
        others(kept, labels, kept[[1, 1]], torch.tensor([0, 0]))
