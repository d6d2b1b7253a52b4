"""Search, recall and mean average precision against NumPy and published numbers, whatever the size of the blocks."""

import importlib

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cl_engine.errors import InputError
from cl_engine.metrics import mean_average_precision, recall_at_k, search

SEARCH, RETRIEVAL = (importlib.import_module(f"cl_engine.metrics.{name}") for name in ("nearest", "retrieval"))


@pytest.fixture(params=[(1024, 16384, 1 << 22), (3, 7, 50)], ids=["large", "small"])
def _blocks(request, monkeypatch):
    monkeypatch.setattr(SEARCH, "ROWS", request.param[0])
    monkeypatch.setattr(SEARCH, "COLUMNS", request.param[1])
    monkeypatch.setattr(RETRIEVAL, "COLUMNS", request.param[1])
    monkeypatch.setattr(RETRIEVAL, "RANKED", request.param[2])


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def ranked(queries, gallery, distance, itself=None):
    """Return each query's ranking of the gallery, of equal ones the lower row first."""
    if distance == "cosine":
        scores = unit(queries) @ unit(gallery).T
    else:
        scores = -((queries[:, None] - gallery[None]) ** 2).sum(2)
    found = np.argsort(-scores, axis=1, kind="stable")
    if itself is None:
        return found
    return np.array([[j for j in row if j != own] for row, own in zip(found, itself, strict=True)])


def precision(relevant):
    return np.mean([(n + 1) / (rank + 1) for n, rank in enumerate(np.flatnonzero(relevant))])


def case(seed=0, queries=11, gallery=40, classes=4):
    draw = np.random.default_rng(seed)
    return (
        draw.standard_normal((queries, 5)),
        draw.standard_normal((gallery, 5)),
        draw.integers(0, classes + 1, queries),  # one class that the gallery lacks
        draw.integers(0, classes, gallery) * 1,
    )


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("leave_out", [False, True])
def test_ranks_recall_and_precision_are_those_of_numpy(distance, leave_out):
    queries, gallery, yq, yg = case()
    own = np.array([-1, 3, 39, 0, 7, 6, -1, 21, 14, 13, 3]) if leave_out else None
    itself = None if own is None else torch.from_numpy(own)
    order = ranked(queries, gallery, distance)
    order = [[j for j in row if own is None or j != own[i]] for i, row in enumerate(order)]
    found = search(queries, gallery, 6, distance, itself)
    assert found.indices.tolist() == [row[:6] for row in order]
    hits = [[yg[j] == y for j in row] for row, y in zip(order, yq, strict=True)]
    recalls = recall_at_k(queries, gallery, yq, yg, (1, 3, 6), distance, itself)
    assert recalls == {k: np.mean([any(row[:k]) for row in hits]) for k in (1, 3, 6)}
    expected = np.mean([precision(row) for row in hits if any(row)])
    assert mean_average_precision(queries, gallery, yq, yg, distance, itself) == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("_blocks")
def test_of_equal_vectors_the_lower_row_comes_first():
    gallery = np.tile(np.eye(3), (20, 1))  # 20 copies of each axis, in turn
    found = search(np.eye(3), gallery, 23)
    for axis, row in enumerate(found.indices.tolist()):
        copies = [*range(axis, 60, 3)]
        others = [j for j in range(60) if j % 3 != axis]
        assert row == [*copies, *others[:3]]
    y = np.arange(60) >= 30  # the later copies are relevant, so ranks of ties decide
    expected = np.mean(
        [precision([y[j] for j in [*range(a, 60, 3), *(j for j in range(60) if j % 3 != a)]]) for a in range(3)]
    )
    assert mean_average_precision(np.eye(3), gallery, [1, 1, 1], y * 1) == pytest.approx(expected)


def test_leave_one_out_has_the_published_precision_of_a_backfilled_gallery():
    r = np.random.default_rng(7)
    label = np.arange(12) % 3
    mu = 2 * r.standard_normal((3, 4))
    new = mu[label] + r.standard_normal((12, 4))
    spread = r.uniform(0.2, 3, 12)
    old = new + spread[:, None] * r.standard_normal((12, 4))
    order = np.argsort(-spread, kind="stable")
    itself, curve, first = torch.arange(12), [], []
    for step in range(5):
        gallery = old.copy()
        gallery[order[: step * 3]] = new[order[: step * 3]]
        curve.append(mean_average_precision(new, gallery, label, label, "euclidean", itself))
        first.append(recall_at_k(new, gallery, label, label, (1,), "euclidean", itself)[1])
    assert curve == pytest.approx([0.7253367, 0.80102513, 0.88759921, 0.89963624, 0.8926918], abs=5e-8)
    assert np.mean(curve) == pytest.approx(0.84125782, abs=5e-9)
    assert np.mean(first) == pytest.approx(0.78333333, abs=5e-9)


class Largest(TorchDispatchMode):
    """Notes the most values of any tensor that an operation makes."""

    values = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            view = isinstance(tensor, torch.Tensor) and tensor._base is not None
            if isinstance(tensor, torch.Tensor) and not view:
                self.values = max(self.values, tensor.numel())
        return made


def test_a_search_makes_nothing_of_the_gallerys_size_beside_it(monkeypatch):
    monkeypatch.setattr(SEARCH, "COLUMNS", 100)
    generator = torch.Generator().manual_seed(0)
    gallery, queries = torch.randn(5000, 32, generator=generator), torch.randn(20, 32, generator=generator)
    with Largest() as largest:
        search(queries, gallery, 3)
    assert 5000 <= largest.values < 5001  # a length for each vector; the gallery has 160,000 values


def test_galleries_of_half_precision_and_of_integers_are_searched_as_they_are():
    queries, gallery, *_ = case()
    halves, bytes_ = gallery.astype(np.float16), np.round(gallery * 40).astype(np.int8)
    for stored in (halves, bytes_):
        expected = ranked(queries.astype("f4").astype("f8"), stored.astype("f8"), "cosine")[:, :3]
        assert search(queries.astype("f4"), stored, 3).indices.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: search(np.eye(2), np.eye(3)), "queries have 2 values and the gallery 3; allowed: the same width"),
        (lambda: search(np.eye(2), np.eye(2), 3), "k is 3; allowed: 1 to 2"),
        (lambda: search(np.eye(2), np.eye(2), 2, itself=torch.tensor([0, 1])), "k is 2; allowed: 1 to 1"),
        (lambda: search(np.eye(2), np.zeros((0, 2))), r"gallery: \[0, 2\]; allowed: \[N, D\]"),
        (lambda: search(np.eye(2), np.eye(2), distance="l1"), "distance is 'l1'; allowed: 'cosine' or 'euclidean'"),
        (
            lambda: recall_at_k(np.eye(2), np.eye(2), [0], [0, 1]),
            r"query_labels: int64 \[1\]; allowed: integers \[2\]",
        ),
        (lambda: recall_at_k(np.eye(2), np.eye(2), [0, 1], [0.0, 1]), "gallery_labels: float32"),
        (lambda: recall_at_k(np.eye(2), np.eye(2), [0, 1], [0, 1], k=()), "k is empty"),
    ],
)
def test_what_cannot_be_searched_is_one_clear_line(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_without_a_relevant_vector_there_is_no_precision():
    assert mean_average_precision(np.eye(2), np.eye(2), [5, 5], [0, 1]) is None
