"""Compatibility: whether each model can search the galleries that the models before it have embedded."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.evaluation.evaluator import Predictor
from cl_engine.evaluation.observing import FEATURES
from cl_engine.evaluation.renewing import Renewal
from cl_engine.metrics.backfill import area_under_backfill, backfill_curve
from cl_engine.metrics.compatibility import average_compatibility, average_cross_accuracy, compatibility_metrics
from cl_engine.metrics.cross_tests import Protocol, class_templates, cross_test
from cl_engine.metrics.inequalities import mean_cosines, satisfaction
from cl_engine.metrics.nearest import fitted
from cl_engine.metrics.retrieval import mean_average_precision, recall_at_k
from cl_engine.randomness import numpy_generator

RECALLS = (1, 5, 10)


class Compatibility:
    """Embeds a gallery once with each model, searches it with all later ones; see :class:`Diagnostic`.

    The samples are of classes that no model is trained on.  The model of an experience is what was held after it.
    What it made of the gallery goes into its record, float32: all vectors, or one template a class, and the models
    after it are tested on those.  Queries are embedded once with each model too.  Where features become wider, as
    of a network that grows, only the first values of a query are compared with an older gallery, and where they
    become narrower the rest counts as 0 (as in BCT's code).

    Where stored vectors are mapped when a model comes (``renewal``), it is the mapped ones that it searches, and
    every vector is kept, as templates of mapped vectors are no mapped templates.

    Args:
        gallery: its samples, labels of their own.
        queries: likewise.
        protocol: how a score is made, as of :func:`cl_engine.metrics.cross_test`.
        renewal: what becomes of stored vectors.
        prefix: how many values of each vector are stored and compared; None: all.  What a strategy maps itself is
            stored whole.
    """

    def __init__(
        self, gallery: Samples, queries: Samples, protocol: Protocol, renewal: Renewal, prefix: int | None = None
    ) -> None:
        self.gallery, self.queries, self.protocol = gallery, queries, protocol
        self.renewal, self.prefix = renewal, prefix
        self.templates = protocol == "templates"
        self.labels = torch.unique(gallery.y) if self.templates else gallery.y
        self._galleries: list[Tensor] = []  # as they are stored
        self._last: tuple[int, Tensor] | None = None  # an experience, and the queries by its model

    def facts(
        self, now: Predictor, before: Callable[[], Predictor], experience: int, exposed: int
    ) -> dict[str, Any]:
        """Return ``compatibility``: a row of the matrix, and what later models are tested on."""
        own = self._stored(now)
        queries = self._embedded(now, self.queries)
        older = self.renewal.renewed(now, self._galleries, own)
        galleries = [self._searched(each, queries) for each in (*older.galleries, own)]
        found: dict[str, Any] = {"scores": [self._score(queries, each) for each in galleries]}
        found["cosines"] = [self._cosines(queries, each) for each in galleries]
        if self.protocol == "instances":
            found |= self._ranks(queries, galleries)
        if experience:
            if self._last is None or self._last[0] != experience - 1:
                self._last = experience - 1, self._embedded(before(), self.queries)
            then = self._last[1]
            old, renewed = self._searched(self._galleries[-1], then), galleries[-2]
            new, then = fitted(queries, renewed.shape[1]), fitted(then, old.shape[1])
            found["satisfaction"] = list(satisfaction(new, then, old, self.queries.y, self.labels, renewed=renewed))
        if older.uncertainty is not None:
            found["backfill"] = self._backfilled(queries, older.galleries[-1], own, older.uncertainty)
        if self.renewal.lasts:
            found["renewed"] = [_encoded(gallery) for gallery in older.galleries]
        self._last = experience, queries
        return {"compatibility": {**found, "gallery": _encoded(own)}}

    def recall(self, line: Mapping[str, Any]) -> None:
        """Keep the gallery of an earlier model, and what it made of those before."""
        stored = line["compatibility"]
        if "renewed" in stored:
            self._galleries = [_decoded(gallery) for gallery in stored["renewed"]]
        self._galleries.append(_decoded(stored["gallery"]))

    def summary(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return ``compatibility``: the matrix and what follows from it, also up to each experience."""
        rows = [line["compatibility"] for line in lines]
        matrix = [row["scores"] for row in rows]
        so_far = [matrix[: t + 1] for t in range(len(matrix))]
        pairs = [row.get("satisfaction", [None, None]) for row in rows]
        found = {
            "protocol": self.protocol,
            **self.renewal.words,
            "classes": torch.unique(self.gallery.y).tolist(),
            "gallery_samples": len(self.gallery),
            "query_samples": len(self.queries),
            "matrix": matrix,
            **compatibility_metrics(matrix),
            "so_far": {
                "average_compatibility": [average_compatibility(m) for m in so_far],
                "average_cross_accuracy": [average_cross_accuracy(m) for m in so_far],
            },
            "satisfaction": {
                "same": [same for same, _ in pairs],
                "different": [different for _, different in pairs],
            },
            "mean_cosine": {
                name: [[pair[place] for pair in row["cosines"]] for row in rows]
                for place, name in enumerate(("same", "different"))
            },
            "gallery_bytes": [4 * gallery.numel() for gallery in self._galleries],
            "gallery_bytes_are": "float32 vectors, with side information where there is some, that the service "
            "keeps; the strategy is not charged for them",
        }
        if self.protocol == "instances":
            found["mean_average_precision"] = [row["mean_average_precision"] for row in rows]
            found["recall"] = {k: [row["recall"][k] for row in rows] for k in map(str, RECALLS)}
        if any("backfill" in row for row in rows):
            found["backfill"] = [row.get("backfill") for row in rows]
        return {"compatibility": found}

    def _embedded(self, model: Predictor, samples: Samples) -> Tensor:
        """Return features, float32 as they are kept."""
        return model.observe(FEATURES, samples.inputs)["features"].float()[:, : self.prefix]

    def _stored(self, model: Predictor) -> Tensor:
        """Return what is stored of the gallery: templates, where nothing will need the vectors."""
        vectors = self.renewal.stored(model, self.gallery)
        if self.renewal.lasts:
            return vectors
        vectors = vectors[:, : self.prefix]
        return vectors if self.renewal.whole or not self.templates else class_templates(vectors, self.gallery.y)[0]

    def _searched(self, stored: Tensor, queries: Tensor) -> Tensor:
        """Return what queries of the model that a gallery is in the space of are compared with."""
        if not self.renewal.whole:
            return stored
        vectors = stored[:, : queries.shape[1]]  # side information is not compared
        return class_templates(vectors, self.gallery.y)[0] if self.templates else vectors

    def _backfilled(self, queries: Tensor, mapped: Tensor, own: Tensor, uncertainty: Tensor) -> dict[str, Any]:
        """Return what the last gallery scores while it is renewed, the most uncertain first, and by chance."""
        orders = {
            "by_uncertainty": uncertainty.argsort(descending=True, stable=True),
            "by_chance": torch.from_numpy(numpy_generator(0, "backfill").permutation(len(mapped))),
        }

        def score(vectors: Tensor) -> float:
            return self._score(queries, self._searched(vectors, queries))

        curves = {name: backfill_curve(mapped, own, order, score) for name, order in orders.items()}
        return {name: {"curve": curve, **area_under_backfill(curve)} for name, curve in curves.items()}

    def _score(self, queries: Tensor, gallery: Tensor) -> float:
        protocol: Protocol = (
            "instances" if self.templates else self.protocol
        )  # each template is the one of its class
        return cross_test(fitted(queries, gallery.shape[1]), gallery, self.queries.y, self.labels, protocol)

    def _cosines(self, queries: Tensor, gallery: Tensor) -> list[float | None]:
        return [*mean_cosines(fitted(queries, gallery.shape[1]), gallery, self.queries.y, self.labels)]

    def _ranks(self, queries: Tensor, galleries: Sequence[Tensor]) -> dict[str, Any]:
        """Return mean average precision and recall at k in each gallery."""
        cases = [(fitted(queries, each.shape[1]), each, self.queries.y, self.labels) for each in galleries]
        k = [n for n in RECALLS if n <= len(self.labels)]
        recalls = [recall_at_k(*case, k) for case in cases]
        return {
            "mean_average_precision": [mean_average_precision(*case) for case in cases],
            "recall": {str(n): [recall.get(n, 1.0) for recall in recalls] for n in RECALLS},
        }


def _encoded(vectors: Tensor) -> dict[str, Any]:
    return {
        "width": vectors.shape[1],
        "float32": base64.b64encode(vectors.numpy().astype("<f4").tobytes()).decode(),
    }


def _decoded(plain: Mapping[str, Any]) -> Tensor:
    floats = np.frombuffer(base64.b64decode(plain["float32"]), dtype="<f4")
    return torch.from_numpy(floats.reshape(-1, plain["width"]).copy())
