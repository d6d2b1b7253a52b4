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
from cl_engine.metrics.compatibility import average_compatibility, average_cross_accuracy, compatibility_metrics
from cl_engine.metrics.cross_tests import Protocol, class_templates, cross_test
from cl_engine.metrics.inequalities import mean_cosines, satisfaction
from cl_engine.metrics.nearest import fitted
from cl_engine.metrics.retrieval import mean_average_precision, recall_at_k

RECALLS = (1, 5, 10)


class Compatibility:
    """Embeds a gallery once with each model, searches it with all later ones; see :class:`Diagnostic`.

    The samples are of classes that no model is trained on.  The model of an experience is what was held after it.
    What it made of the gallery goes into its record, float32: all vectors, or one template a class, and the models
    after it are tested on those.  Queries are embedded once with each model too.  Where features become wider, as
    of a network that grows, only the first values of a query are compared with an older gallery, and where they
    become narrower the rest counts as 0 (as in BCT's code).

    Args:
        gallery: its samples, labels of their own.
        queries: likewise.
        protocol: how a score is made, as of :func:`cl_engine.metrics.cross_test`.
    """

    def __init__(self, gallery: Samples, queries: Samples, protocol: Protocol) -> None:
        self.gallery, self.queries, self.protocol = gallery, queries, protocol
        self.templates = protocol == "templates"
        self.labels = torch.unique(gallery.y) if self.templates else gallery.y
        self._galleries: list[Tensor] = []
        self._last: tuple[int, Tensor] | None = None  # an experience, and the queries by its model

    def facts(
        self, now: Predictor, before: Callable[[], Predictor], experience: int, exposed: int
    ) -> dict[str, Any]:
        """Return ``compatibility``: a row of the matrix, and what later models are tested on."""
        gallery = self._embedded(now, self.gallery)
        if self.templates:
            gallery, _ = class_templates(gallery, self.gallery.y)
        queries = self._embedded(now, self.queries)
        galleries = [*self._galleries, gallery]
        found: dict[str, Any] = {"scores": [self._score(queries, each) for each in galleries]}
        found["cosines"] = [self._cosines(queries, each) for each in galleries]
        if self.protocol == "instances":
            found |= self._ranks(queries, galleries)
        if experience:
            if self._last is None or self._last[0] != experience - 1:
                self._last = experience - 1, self._embedded(before(), self.queries)
            old = galleries[-2]
            new, then = (fitted(q, old.shape[1]) for q in (queries, self._last[1]))
            found["satisfaction"] = list(satisfaction(new, then, old, self.queries.y, self.labels))
        self._last = experience, queries
        return {"compatibility": {**found, "gallery": _encoded(gallery)}}

    def recall(self, line: Mapping[str, Any]) -> None:
        """Keep the gallery of an earlier model."""
        self._galleries.append(_decoded(line["compatibility"]["gallery"]))

    def summary(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return ``compatibility``: the matrix and what follows from it, also up to each experience."""
        rows = [line["compatibility"] for line in lines]
        matrix = [row["scores"] for row in rows]
        so_far = [matrix[: t + 1] for t in range(len(matrix))]
        pairs = [row.get("satisfaction", [None, None]) for row in rows]
        found = {
            "protocol": self.protocol,
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
            "gallery_bytes_are": "float32 vectors that the service keeps; the strategy is not charged for them",
        }
        if self.protocol == "instances":
            found["mean_average_precision"] = [row["mean_average_precision"] for row in rows]
            found["recall"] = {k: [row["recall"][k] for row in rows] for k in map(str, RECALLS)}
        return {"compatibility": found}

    def _embedded(self, model: Predictor, samples: Samples) -> Tensor:
        """Return features, float32 as they are kept."""
        return model.observe(FEATURES, samples.inputs)["features"].float()

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
