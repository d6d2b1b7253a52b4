"""Galleries through closed-form maps: NumPy's solutions on the same pairs, and what they do to a matrix."""

import numpy as np
import pytest

from cl_engine.errors import InputError
from cl_engine.metrics import compatibility_matrix, mapped_gallery
from cl_engine.randomness import numpy_generator


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def versions(width=6, seed=0):
    r = np.random.default_rng(seed)
    labels = np.arange(40) % 4
    old = np.eye(6)[labels] + 0.3 * r.standard_normal((40, 6))
    return labels, old, old @ r.standard_normal((6, width)) + 0.1 * r.standard_normal((40, width))


@pytest.mark.parametrize("width", [6, 9])
def test_the_maps_are_the_solutions_that_numpy_finds_on_the_drawn_pairs(width):
    _, old, new = versions(width)
    rows = numpy_generator(3, "pairs").permutation(40)[:15]
    a, b = unit(old[rows]), unit(new[rows])
    u, _, vh = np.linalg.svd(a.T @ b, full_matrices=False)
    found = mapped_gallery(old, new, "procrustes", pairs=15, seed=3)
    np.testing.assert_allclose(found.numpy(), unit(old) @ u @ vh, atol=1e-5)
    rows_of_penalty = np.sqrt(1e-3 * 15) * np.eye(6)
    solved, *_ = np.linalg.lstsq(np.vstack([a, rows_of_penalty]), np.vstack([b, np.zeros((6, width))]), rcond=None)
    found = mapped_gallery(old, new, "ridge", pairs=15, seed=3)
    np.testing.assert_allclose(found.numpy(), unit(old) @ solved, atol=1e-5)


def test_of_the_newer_gallery_only_the_pairs_are_looked_at():
    _, old, new = versions()
    others = np.setdiff1d(np.arange(40), numpy_generator(0, "pairs").permutation(40)[:10])
    changed = new.copy()
    changed[others] = 1e3
    for kind in ("procrustes", "ridge"):
        first, second = (mapped_gallery(old, x, kind, pairs=10).numpy() for x in (new, changed))
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("protocol", ["templates", "instances", "map"])
def test_behind_a_rotation_a_map_makes_the_cross_test_the_self_test(protocol):
    labels, old, _ = versions()
    turn, _ = np.linalg.qr(np.random.default_rng(5).standard_normal((6, 6)))
    both = [old, old @ turn]
    plain = compatibility_matrix(both, both, labels, labels, protocol)
    mapped = compatibility_matrix(both, both, labels, labels, protocol, map="procrustes", pairs=20)
    assert plain[1][0] < mapped[1][0] == pytest.approx(mapped[1][1])
    assert (plain[0], plain[1][1]) == (mapped[0], mapped[1][1])


def test_a_map_leads_to_a_model_of_another_width():
    labels, old, new = versions(width=9)
    matrix = compatibility_matrix([old, new], [old, new], labels, labels, map="ridge")
    assert matrix[1][0] > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "linear"}, "map is 'linear'; allowed: procrustes, ridge"),
        ({"kind": "ridge", "pairs": 0}, "pairs is 0; allowed: 1 or more"),
        ({"kind": "ridge", "newer": np.ones((3, 6))}, "40 old and 3 newer vectors; allowed: the same images"),
    ],
)
def test_a_map_that_cannot_be_is_refused(options, message):
    _, old, new = versions()
    with pytest.raises(InputError, match=message):
        mapped_gallery(old, options.pop("newer", new), **options)
