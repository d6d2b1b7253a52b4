"""The compatibility matrix and the inequalities against NumPy, and what must happen to a rotated or a frozen model."""

import numpy as np
import pytest

from cl_engine.errors import InputError
from cl_engine.metrics import (
    average_compatibility,
    class_templates,
    compatibility_matrix,
    cross_test,
    mean_cosines,
    satisfaction,
    verification_accuracy,
    verification_pairs,
)
from cl_engine.metrics.inequalities import violations
from cl_engine.metrics.verification import Pairs
from cl_engine.models.simplex import simplex

CLASSES, EACH = 10, 30


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def stationary(draw, spread, y, turn=None):
    """Features of a stationary model: a cap around the vertex of each class."""
    vertices = simplex(CLASSES).double().numpy()
    found = vertices[y] + spread * draw.standard_normal((len(y), CLASSES - 1))
    return found if turn is None else found @ turn


@pytest.fixture
def models():
    """Three models whose caps shrink, each with a gallery and queries."""
    draw = np.random.default_rng(0)
    yg, yq = np.repeat(np.arange(CLASSES), EACH), np.repeat(np.arange(CLASSES), EACH)
    pairs = [(stationary(draw, s, yg), stationary(draw, s, yq)) for s in (0.9, 0.6, 0.3)]
    galleries, queries = zip(*pairs, strict=True)
    turn, _ = np.linalg.qr(draw.standard_normal((CLASSES - 1, CLASSES - 1)))
    return list(galleries), list(queries), yg, yq, turn


def test_shrinking_caps_around_one_simplex_are_compatible(models):
    galleries, queries, yg, yq, _ = models
    for protocol in ("templates", "instances", "map", "verification"):
        matrix = compatibility_matrix(galleries, queries, yg, yq, protocol)
        assert average_compatibility(matrix) == 1, protocol


@pytest.mark.parametrize("protocol", ["templates", "instances", "map", "verification"])
def test_a_rotated_simplex_leaves_self_tests_and_brings_cross_tests_to_chance(models, protocol):
    galleries, queries, yg, yq, turn = models
    plain = compatibility_matrix(galleries, queries, yg, yq, protocol)
    galleries[1], queries[1] = galleries[1] @ turn, queries[1] @ turn
    turned = compatibility_matrix(galleries, queries, yg, yq, protocol)
    for t in range(3):
        assert turned[t][t] == pytest.approx(plain[t][t], abs=1e-9)
    assert turned[2][0] == plain[2][0]
    chance = {"verification": 0.5}.get(protocol, 1 / CLASSES)
    for t, k in ((1, 0), (2, 1)):
        assert abs(turned[t][k] - chance) < 0.5 * (plain[t][k] - chance)


def test_a_model_that_never_changes_ties_in_every_column_and_satisfies_both_inequalities(models):
    galleries, queries, yg, yq, _ = models
    matrix = compatibility_matrix([galleries[0]] * 3, [queries[0]] * 3, yg, yq)
    assert len({score for row in matrix for score in row}) == 1
    assert average_compatibility(matrix) == 0
    assert average_compatibility(matrix, ties="pass") == 1
    assert satisfaction(queries[0], queries[0], galleries[0], yq, yg) == (1, 1)


def test_templates_are_normalised_means_of_normalised_vectors_and_labels_may_be_any():
    draw = np.random.default_rng(1)
    gallery, y = draw.standard_normal((40, 5)), draw.permutation(np.repeat([7, -3, 100, 12], 10))
    found, labels = class_templates(gallery, y)
    assert labels.tolist() == [-3, 7, 12, 100]
    expected = unit(np.stack([unit(gallery[y == c]).mean(0) for c in labels.tolist()]))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    queries, yq = draw.standard_normal((30, 5)), draw.choice([7, -3, 100, 12], 30)
    right = labels.numpy()[(unit(queries) @ expected.T).argmax(1)] == yq
    assert cross_test(queries, gallery, yq, y) == right.mean()


def test_satisfaction_is_the_share_of_pairs_that_numpy_counts():
    draw = np.random.default_rng(2)
    new, old, gallery = (draw.standard_normal((n, 4)) for n in (9, 9, 13))
    yq, yg = draw.integers(0, 3, 9), draw.integers(0, 3, 13)
    a, b = unit(new) @ unit(gallery).T, unit(old) @ unit(gallery).T
    same = yq[:, None] == yg
    found = satisfaction(new, old, gallery, yq, yg)
    assert found == (np.mean((a >= b)[same]), np.mean((a <= b)[~same]))
    assert satisfaction(new, old, gallery, np.full(9, 5), yg).same is None


def test_mean_cosines_are_those_of_all_pairs_that_numpy_makes():
    draw = np.random.default_rng(6)
    queries, gallery = 3 * draw.standard_normal((9, 4)), draw.standard_normal((13, 4))
    yq, yg = draw.integers(0, 3, 9), draw.integers(0, 4, 13)
    cosines, same = unit(queries) @ unit(gallery).T, yq[:, None] == yg
    found = mean_cosines(queries, gallery, yq, yg)
    assert found == pytest.approx((cosines[same].mean(), cosines[~same].mean()))
    assert mean_cosines(queries, gallery, np.full(9, 5), yg).same is None
    assert mean_cosines(queries, gallery, np.zeros(9, int), np.zeros(13, int)).different is None


def test_caps_that_shrink_around_fixed_vertices_satisfy_both_inequalities_in_the_mean_and_turned_ones_do_not(
    models,
):
    galleries, queries, yg, yq, turn = models

    def found(asked):
        rows = [[mean_cosines(asked[t], galleries[k], yq, yg) for k in range(t + 1)] for t in range(3)]
        return violations([[c.same for c in row] for row in rows], [[c.different for c in row] for row in rows])

    assert found(queries) == ([], [])
    farther, nearer = found([queries[0], queries[1] @ turn, queries[2] @ turn])
    assert {(1, 0), (2, 0)} <= {*farther}
    assert {(1, 0), (2, 0)} <= {*nearer}


def test_verification_chooses_on_nine_folds_the_lowest_best_threshold_and_counts_on_the_tenth():
    draw = np.random.default_rng(3)
    queries, gallery = draw.standard_normal((50, 6)), draw.standard_normal((60, 6))
    yq, yg = draw.integers(0, 4, 50), draw.integers(0, 4, 60)
    pairs = verification_pairs(yq, yg, pairs=45, seed=1)
    distances = ((unit(queries[pairs.queries]) - unit(gallery[pairs.gallery])) ** 2).sum(1)
    thresholds, folds = np.arange(0, 4, 0.001), np.array_split(np.arange(90), 10)
    scores = []
    for fold in folds:
        rest = np.setdiff1d(np.arange(90), fold)
        right = [np.mean((distances[rest] < t) == pairs.same[rest]) for t in thresholds]
        scores.append(np.mean((distances[fold] < thresholds[np.argmax(right)]) == pairs.same[fold]))
    assert verification_accuracy(queries, gallery, pairs) == pytest.approx(np.mean(scores), abs=1e-12)


def test_pairs_are_what_they_say_balanced_in_every_fold_and_fixed_by_their_seed():
    yq, yg = np.array([3, 3, 8, 9]), np.array([8, 3, 3, 5, 8])  # 9 has no pair of its own class
    found = verification_pairs(yq, yg, pairs=500, seed=4)
    assert ((yq[found.queries] == yg[found.gallery]) == found.same).all()
    assert found.same.reshape(10, 100).sum(1).tolist() == [50] * 10
    reached = {*zip(found.queries.tolist(), found.gallery.tolist(), strict=True)}
    assert reached == {(i, j) for i in range(4) for j in range(5)}
    for a, b in zip(found, verification_pairs(yq, yg, pairs=500, seed=4), strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(found.queries, verification_pairs(yq, yg, pairs=500, seed=5).queries)


def test_a_published_list_of_pairs_can_be_verified():
    pairs = Pairs(np.tile([0, 1], 10), np.tile([0, 0], 10), np.tile([True, False], 10))
    assert verification_accuracy(np.eye(2), 2 * np.eye(2), pairs) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: verification_pairs([1], [1, 1]), "no pairs to verify"),
        (lambda: verification_pairs([1], [1, 2], pairs=9), "pairs is 9; allowed: 10 or more"),
        (
            lambda: cross_test(np.eye(2), np.eye(2), [0, 1], [0, 1], "nearest"),
            "protocol is 'nearest'; allowed: templ",
        ),
        (lambda: cross_test(np.eye(2), np.eye(2), [5, 5], [0, 1], "map"), "no query is of a class of the gallery"),
        (lambda: compatibility_matrix([], [], [], []), "0 galleries and the queries of 0 models"),
        (lambda: satisfaction(np.eye(2), np.eye(2)[:1], np.eye(2), [0, 1], [0, 1]), "2 new queries and 1 old ones"),
    ],
)
def test_what_cannot_be_tested_is_one_clear_line(call, message):
    with pytest.raises(InputError, match=message):
        call()
