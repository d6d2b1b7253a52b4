"""The d-simplex against its definition and the construction that the authors released."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from cl_engine.models.simplex import simplex

SIZES = [*range(2, 65), 100, 1000, 4096]


def released(classes):
    """``[I; a 1]``, centred and normalised, step by step in float64."""
    n = classes - 1
    rows = np.vstack([np.eye(n), np.full((1, n), (1 - math.sqrt(1 + n)) / n)])
    rows -= rows.mean(0)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("classes", SIZES)
def test_vertices_are_those_of_the_released_construction_in_its_orientation(classes):
    vertices = simplex(classes)
    assert vertices.shape == (classes, classes - 1)
    assert vertices.dtype == torch.float32
    np.testing.assert_allclose(vertices.numpy(), released(classes), rtol=2e-7, atol=1e-12)


@pytest.mark.parametrize("classes", SIZES)
def test_vertices_have_length_1_the_same_cosine_to_each_other_and_sum_to_0(classes):
    exact = simplex(classes).double()
    assert (exact.norm(dim=1) - 1).abs().max() < 2e-6
    assert (exact.float().norm(dim=1) - 1).abs().max() < 2e-6  # as a float32 user measures it
    some = torch.linspace(0, classes - 1, min(classes, 64)).long()  # first and last row among them
    cosines = exact[some] @ exact.T
    cosines[torch.arange(len(some)), some] = -1 / (classes - 1)
    assert (cosines + 1 / (classes - 1)).abs().max() < 3e-7
    assert exact.sum(0).abs().max() < 1e-6


@pytest.mark.parametrize("classes", SIZES)
def test_vertices_are_a_tight_frame(classes):
    exact = simplex(classes).double()
    some = torch.linspace(0, classes - 2, min(classes - 1, 64)).long()
    expected = torch.eye(classes - 1, dtype=torch.float64)[some] * classes / (classes - 1)
    assert (exact[:, some].T @ exact - expected).abs().max() < 5e-7


def test_small_simplices_have_their_known_coordinates_and_angles():
    known = {
        2: [[1.0], [-1.0]],
        3: [[0.965926, -0.258819], [-0.258819, 0.965926], [-0.707107, -0.707107]],
        4: [[0.96225, -0.19245, -0.19245], [-0.19245, 0.96225, -0.19245], [-0.19245, -0.19245, 0.96225], [-0.57735] * 3],
    }  # fmt: skip
    for classes, rows in known.items():
        torch.testing.assert_close(simplex(classes), torch.tensor(rows), atol=2e-6, rtol=0)
    for classes, degrees in {3: 120.0, 4: 109.4712, 100: 90.5788, 1024: 90.0560}.items():
        exact = simplex(classes).double()
        assert math.degrees(math.acos(exact[0] @ exact[-1])) == pytest.approx(degrees, abs=1e-4)


def test_two_calls_and_another_default_type_give_the_same_bits():
    expected = simplex(10)
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(simplex(10), expected)
        assert simplex(10).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("classes", [1, 0, -3])
def test_a_simplex_needs_two_vertices(classes):
    with pytest.raises(ValueError, match=f"a simplex of {classes} vertices; allowed: 2 or more"):
        simplex(classes)


@pytest.mark.parametrize(
    "code",
    [
        "import cl_engine.models; assert 'torch' not in sys.modules; make = cl_engine.models.simplex",
        "import cl_engine.models; cl_engine.models.simplex; make = cl_engine.models.simplex",  # bound by then
        "from cl_engine.models import simplex as make",
        "from cl_engine.models.simplex import simplex as make",
        "import cl_engine.models.simplex; make = cl_engine.models.simplex",
        "from cl_engine.models.simplex import simplex; from cl_engine.models import simplex as make",
        "import cl_engine.models.heads; from cl_engine.models import simplex as make",
        "from cl_engine.models import *; make = simplex",
    ],
)
def test_the_name_is_the_function_however_it_is_imported(code):
    told = "print(type(make).__name__, tuple(make(5).shape))"
    done = subprocess.run([sys.executable, "-c", f"import sys; {code}; {told}"], capture_output=True, text=True)
    assert done.stdout == "function (5, 4)\n", done.stderr
