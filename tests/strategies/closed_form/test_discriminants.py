"""LDA, SLDA and NCM against scikit-learn, and against the released update written sample by sample."""

import numpy as np
import pytest
from sklearn.covariance import OAS
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NearestCentroid

from tests.strategies.closed_form.streams import CLASSES, FEATURES, data, experiences, learned, relative, scores

X, Y = data()
X64 = X.astype("f8")


@pytest.mark.parametrize("batch", [None, 1, 7])
@pytest.mark.parametrize("shrinkage", [1e-13, 1e-4, 0.3, 1.0])
def test_lda_is_scikit_learns_on_all_samples(batch, shrinkage):
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(X64, Y)
    found = scores(learned("lda", {"shrinkage": shrinkage}, batch=batch), X)
    assert relative(found, theirs.decision_function(X64)) < 1e-9


@pytest.mark.parametrize("batch", [None, 1, 7])
@pytest.mark.parametrize("epsilon", [1e-4, 0.5])
def test_exact_slda_has_the_pooled_covariance_of_all_samples(batch, epsilon):
    means = np.stack([X64[c == Y].mean(0) for c in range(CLASSES)])
    pooled = (X64 - means[Y]).T @ (X64 - means[Y]) / len(Y)
    weights = np.linalg.solve((1 - epsilon) * pooled + epsilon * np.eye(FEATURES), means.T)
    expected = X64 @ weights - (means.T * weights).sum(0) / 2
    assert relative(scores(learned("slda", {"epsilon": epsilon}, batch=batch), X), expected) < 1e-9


class Released:
    """The released update, a sample at a time: Sigma by the total count, a first sample against mean 0."""

    def __init__(self):
        self.means, self.counts, self.updates = np.zeros((CLASSES, FEATURES)), np.zeros(CLASSES), 0
        self.sigma = np.ones((FEATURES, FEATURES))

    def base(self, x, y):
        for c in np.unique(y):
            self.means[c], self.counts[c] = x[y == c].mean(0), (y == c).sum()
        self.updates = len(x)
        self.sigma = OAS(assume_centered=True).fit(x - self.means[y]).covariance_

    def sample(self, x, c):
        apart, t = x - self.means[c], self.updates
        self.sigma = (t * self.sigma + np.outer(apart, apart) * t / (t + 1)) / (t + 1)
        self.means[c] += apart / (self.counts[c] + 1)
        self.counts[c] += 1
        self.updates += 1

    def scores(self, x, epsilon):
        weights = np.linalg.pinv((1 - epsilon) * self.sigma + epsilon * np.eye(FEATURES)) @ self.means.T
        return x @ weights - (self.means.T * weights).sum(0) / 2


@pytest.mark.parametrize("batch", [None, 9])
def test_released_slda_is_the_released_update(batch):
    theirs = Released()
    for index, rows in enumerate(experiences(X, Y)):
        if index:
            for row in rows:
                theirs.sample(X64[row], Y[row])
        else:
            for start in range(0, len(rows), batch or len(rows)):
                part = rows[start : start + (batch or len(rows))]
                theirs.base(X64[part], Y[part])
    ours = learned("slda", {"variant": "released", "epsilon": 0.01}, batch=batch)
    assert relative(ours.covariance, theirs.sigma) < 1e-9
    assert relative(ours.means, theirs.means) < 1e-9
    assert ours.counts.tolist() == theirs.counts.tolist()
    assert relative(scores(ours, X), theirs.scores(X64, 0.01)) < 1e-9
    assert relative(scores(learned("slda", {"epsilon": 0.01}), X), theirs.scores(X64, 0.01)) > 1e-3


@pytest.mark.parametrize("batch", [None, 7])
def test_ncm_predicts_the_nearest_centroid(batch):
    theirs = NearestCentroid().fit(X64, Y)
    assert (scores(learned("ncm", batch=batch), X).argmax(1) == theirs.predict(X64)).all()


@pytest.mark.parametrize("kind", ["lda", "slda"])
def test_a_class_without_samples_is_not_predicted(kind):
    """Its mean is no mean: all scores of the others are negative far out, and it must not win there."""
    part = np.flatnonzero(Y != 1)
    strategy = learned(kind, x=X[part], y=Y[part], parts=[(0, 1, 2, 3, 4)])
    assert (scores(strategy, -50 * X).argmax(1) != 1).all()


@pytest.mark.parametrize("kind", ["lda", "slda"])
def test_the_scatter_is_held_as_a_triangle(kind):
    held = {n: t.numel() * t.element_size() for n, t in learned(kind).state_dict().items()}
    triangle = FEATURES * (FEATURES + 1) // 2
    assert held == {"gram": 8 * triangle, "cross": 8 * FEATURES * CLASSES, "counts": 8 * CLASSES}


@pytest.mark.parametrize("kind", ["lda", "slda"])
def test_features_that_never_vary_are_no_obstacle(kind):
    flat = X.copy()
    flat[:, 2] = 3.0
    found = scores(learned(kind, x=flat, y=Y), flat)
    assert np.isfinite(found).all()
    assert (found.argmax(1) == Y).mean() > 0.7
