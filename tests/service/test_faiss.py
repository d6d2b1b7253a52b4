"""With the extra `faiss`: product quantisation against NumPy, and exact search against the one without it."""

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine.metrics import nearest, search
from cl_engine.service.codes import codebook_bytes, stored, vector_bytes
from cl_engine.service.policy import Policy
from cl_engine.service.product import ProductQuantiser
from cl_engine.service.service import Service

faiss = pytest.importorskip("faiss", reason="needs the faiss extra")


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture
def vectors():
    draw = np.random.default_rng(0)
    return torch.from_numpy(
        draw.standard_normal((8, 24))[np.arange(400) % 8] + 0.5 * draw.standard_normal((400, 24))
    ).float()


@pytest.mark.parametrize(
    ("width", "parts"), [(24, 6), (23, 6), (5, 8)], ids=["divides", "filled up", "more than values"]
)
def test_a_code_names_the_nearest_centre_of_each_part_and_decodes_to_it(vectors, width, parts):
    x = vectors[:, :width]
    quantiser = ProductQuantiser(x[:300], parts)
    each = -(-width // parts)
    centres = faiss.vector_to_array(quantiser._own.centroids).reshape(parts, 256, each)
    filled = np.pad(x.numpy(), ((0, 0), (0, parts * each - width))).reshape(400, parts, each)
    distances = ((filled[:, :, None] - centres[None]) ** 2).sum(-1)  # [400, parts, 256]
    codes = quantiser.codes(x)
    assert codes.shape == (400, parts)
    assert codes.dtype == torch.uint8
    taken = np.take_along_axis(distances, codes.numpy()[:, :, None].astype(int), 2)[:, :, 0]
    assert taken == pytest.approx(distances.min(2), abs=1e-5)
    decoded = np.stack([centres[p][codes.numpy()[:, p]] for p in range(parts)], 1).reshape(400, -1)[:, :width]
    assert quantiser.decoded(codes).numpy() == pytest.approx(decoded)
    assert codes[0].nbytes == vector_bytes(width, "pq", parts=parts)
    assert centres.nbytes == codebook_bytes(width, "pq", parts=parts)


def test_more_bytes_are_nearer_and_as_many_parts_as_values_nearly_exact(vectors):
    x = unit(vectors.numpy())
    errors = [np.square(stored(vectors, "pq", parts=parts).numpy() - x).sum(1).mean() for parts in (2, 6, 24)]
    assert errors == sorted(errors, reverse=True)
    found = unit(stored(vectors, "pq", parts=24).numpy())
    assert (found * x).sum(1).min() > 0.999


def test_a_prefix_is_taken_before_it_is_coded(vectors):
    alone = stored(vectors[:, :12], "pq", parts=4)
    assert torch.equal(stored(vectors, "pq", prefix=12, parts=4), alone)
    assert (vector_bytes(24, "pq", 12, 4), codebook_bytes(24, "pq", 12, 4)) == (4, 4 * 256 * 12)


def test_a_service_searches_what_its_codes_stand_for_and_keeps_a_codebook_for_each_version(vectors):
    draw = np.random.default_rng(1)
    y = torch.arange(400) % 8
    turn = torch.from_numpy(np.linalg.qr(draw.standard_normal((24, 24)))[0]).float()
    models = [
        (x, x[:40] + 0.3 * torch.from_numpy(draw.standard_normal((40, 24))).float())
        for x in (vectors, vectors @ turn)
    ]
    policy = Policy("backfill", rate=10.0, batch=10, order="oldest")
    service = Service(y, y[:40], np.zeros(400), policy, every=10.0, code="pq", parts=4)
    store, first = service.serve(None, *models[0], 0, 0.0, 50.0)
    _, second = service.serve(store, *models[1], 1, 50.0, 100.0)
    codes, book = 400 * 4, 4 * 256 * 24
    assert first.vector_bytes == [codes + book] * 5
    assert first.codebook_bytes == [book] * 5
    assert second.codebook_bytes == [book, 2 * book, 2 * book, 2 * book, book]  # all is renewed after 40 s
    assert second.vector_bytes == [codes + size for size in second.codebook_bytes]
    assert second.compared == pytest.approx(50 * 5.0 * (400 * 4 + 256 * 24))
    coded = [stored(x, "pq", parts=4).numpy() for x, _ in models]
    for watched, done in ((first, None), (second, 100)):
        rows = coded[0].copy() if done is None else np.concatenate([coded[1][:done], coded[0][done:]])
        queries = models[0 if done is None else 1][1].numpy()
        right = y.numpy()[(unit(queries) @ unit(rows).T).argmax(1)] == y.numpy()[:40]
        assert watched.accuracy[0 if done is None else 1] == right.mean()


def test_a_run_stores_its_gallery_in_parts_and_says_all_its_bytes():
    scenario = {
        "data": {"kind": "gaussian", "classes": 4, "features": 8, "samples_per_class": 20},
        "stream": {"step": 2},
        "strategy": {"kind": "cl2r", "reserved": 16, "per_class": 4, "backbone": {"kind": "mlp", "width": 8}},
        "training": {"epochs": 1},
        "service": {
            "gallery": {"data": {"kind": "gaussian", "classes": 8, "features": 8, "samples_per_class": 80}, "split": "train", "classes": [4, 5, 6, 7]},
            "queries": {"split": "test"}, "store": "pq", "parts": 5, "policy": "never", "seconds": 100.0, "look": 50.0,
        },
    }  # fmt: skip
    found = cl_engine.run(scenario).to_dict()["service"]
    book = 4 * 256 * 15
    assert found["codebook_bytes"] == [book] * 4  # nothing comes, so no vector of the second model is stored
    assert found["vector_bytes"] == [320 * 5 + book] * 4


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 7, 300])
def test_faiss_finds_what_the_search_without_it_finds(monkeypatch, distance, k):
    draw = np.random.default_rng(3)
    queries, gallery = (torch.from_numpy(2 * draw.standard_normal((n, 12))).float() for n in (50, 300))
    plain = search(queries, gallery, k, distance)
    used = []
    monkeypatch.setattr(nearest, "MANY", 1)
    monkeypatch.setattr("cl_engine.metrics.by_faiss.BLOCK", 64)
    monkeypatch.setattr(faiss, "knn", lambda *given, real=faiss.knn: used.append(1) or real(*given))
    found = search(queries, gallery, k, distance)
    assert len(used) == 5
    assert torch.equal(found.indices, plain.indices)
    assert found.scores.numpy() == pytest.approx(plain.scores.numpy(), abs=1e-4)
    assert torch.equal(
        search(queries, gallery.half(), k, distance).indices[:, 0],
        search(queries, gallery.half().float(), k, distance).indices[:, 0],
    )


def test_of_equal_scores_the_lower_rows_are_found_by_faiss_too(monkeypatch):
    gallery = torch.eye(4)[torch.tensor([3, 2, 2, 1] * 50)]
    queries = torch.eye(4)[[2, 1, 3, 0]]
    monkeypatch.setattr(nearest, "MANY", 1)
    monkeypatch.setattr("cl_engine.metrics.by_faiss.BLOCK", 16)
    found = search(queries, gallery, 3)
    assert found.indices.tolist() == [[1, 2, 5], [3, 7, 11], [0, 4, 8], [0, 1, 2]]
