"""A retrieval service over the models of a run: each experience's model replaces the one before."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cl_engine.data.samples import Samples, sample_bytes
from cl_engine.evaluation.evaluator import Predictor
from cl_engine.evaluation.observing import FEATURES, FLOPS
from cl_engine.service.arrivals import Times
from cl_engine.service.looks import Store
from cl_engine.service.policy import Policy
from cl_engine.service.service import Service

STORED = {"float32": "<f4", "float16": "<f2", "int8": "<i1", "pq": "<f4"}  # of pq what its codes stand for
CURVES = ("times", "accuracy", "fresh", "current", "vector_bytes", "codebook_bytes")
NOT_RECORDED = ("work", "embedded", "mapped_by")
WORK = ("re_embedded", "inserted", "twice", "mapped", "busy")


class Served:
    """Watches a service from each experience to the next; see :class:`Diagnostic`.

    Model t comes after ``t * seconds``.  What is stored when the next one comes stands in the record of the
    experience, as the service stores it, so that a resumed run goes on from there.  The gallery is embedded by
    every model, so that any policy can be watched; the service is charged only for what its policy embeds.

    Args:
        gallery: images, of classes that no model is trained on.
        queries: likewise.
        policy: what is done with stored vectors.
        options: the section ``service``, complete.
        experiences: how many models there will be.
        seed: of the order of renewal, and of queries.
        arrivals: when each image of the gallery comes.
    """

    def __init__(
        self,
        gallery: Samples,
        queries: Samples,
        policy: Policy,
        options: Mapping[str, Any],
        experiences: int,
        seed: int,
        arrivals: Times,
    ) -> None:
        self.gallery, self.queries, self.policy, self.options = gallery, queries, policy, options
        self.service = Service(
            gallery.y,
            queries.y,
            arrivals,
            policy,
            every=options["look"],
            code=options["store"],
            prefix=options["prefix"],
            parts=options["parts"],
            rate=options["traffic"],
            seed=seed,
        )
        self.experiences = experiences
        self._store: Store | None = None

    def facts(
        self, now: Predictor, before: Callable[[], Predictor], experience: int, exposed: int
    ) -> dict[str, Any]:
        """Return ``service``: what was seen until the next model comes, and what is stored then."""
        gallery, queries = (now.observe(FEATURES, part.inputs)["features"] for part in (self.gallery, self.queries))
        start, end = (self.options["seconds"] * n for n in (experience, experience + 1))
        store, watched = self.service.serve(self._store, gallery.float(), queries.float(), experience, start, end)
        flops = int(now.observe(FLOPS, self.gallery.inputs)["flops"])
        old_width = 0 if self._store is None else self._store.vectors.shape[1]
        map_flops, work = 2 * old_width * store.vectors.shape[1], watched.work
        spent = [
            embedded * flops + mapped * map_flops
            for embedded, mapped in zip(watched.embedded, watched.mapped_by, strict=True)
        ]
        return {
            "service": {
                **{key: value for key, value in asdict(watched).items() if key not in NOT_RECORDED},
                **asdict(work),
                "flops_per_image": flops,
                "flops_by_look": spent,
                "renewal_flops": (work.re_embedded + work.twice) * flops + work.mapped * map_flops,
                "store": self._encoded(store),
            }
        }

    def recall(self, line: Mapping[str, Any]) -> None:
        """Go on from what was stored when the next model came."""
        self._store = _decoded(line["service"]["store"])

    def summary(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return ``service``: accuracy and bytes over time, and what they cost."""
        rows = [line["service"] for line in lines]
        curves = {name: [value for row in rows for value in row[name]] for name in CURVES}
        accuracy, fresh = (sum(curves[name]) / len(curves[name]) for name in ("accuracy", "fresh"))
        before = [0, *itertools.accumulate(row["renewal_flops"] for row in rows)]
        so_far = [past + own for past, row in zip(before, rows, strict=False) for own in row["flops_by_look"]]
        return {
            "service": {
                "policy": self.policy.kind,
                "mean_accuracy": accuracy,
                "mean_accuracy_if_renewed_at_once": fresh,
                "regret": fresh - accuracy,
                **{name: sum(row[name] for row in rows) for name in (*WORK, "renewal_flops")},
                "search_flops": sum(2 * row["compared"] for row in rows),
                "max_vector_bytes": max(curves["vector_bytes"]),
                "image_bytes": len(self.gallery) * sample_bytes(tuple(self.gallery.inputs.shape[1:]))
                if self.policy.needs_images
                else 0,
                "image_bytes_are": "raw images that must be kept so that they can be embedded anew",
                "flops_per_image": [row["flops_per_image"] for row in rows],
                "switched": [row["switched"] for row in rows],
                "negative_flips": [row["negative_flips"] for row in rows],
                "gallery_samples": len(self.gallery),
                "query_samples": len(self.queries),
                **curves,
                "renewal_flops_so_far": so_far,
            }
        }

    def _encoded(self, store: Store) -> dict[str, Any]:
        return {
            "serving": store.serving,
            "queries": _text(store.queries, "<f4"),
            "vectors": _text(store.vectors, STORED[self.options["store"]]),
            "versions": _text(store.versions[None], "<i4"),
            "sizes": _text(store.sizes[None], "<i4"),
            "codebooks": {str(version): size for version, size in store.codebooks.items()},
        }


def _decoded(plain: Mapping[str, Any]) -> Store:
    return Store(
        plain["serving"],
        _tensor(plain["queries"]).float(),
        _tensor(plain["vectors"]).float(),
        _tensor(plain["versions"])[0].long(),
        _tensor(plain["sizes"])[0].long(),
        {int(version): size for version, size in plain["codebooks"].items()},
    )


def _text(rows: Tensor, dtype: str) -> dict[str, Any]:
    bytes_ = rows.numpy().astype(dtype).tobytes()
    return {"width": rows.shape[1], "dtype": dtype, "base64": base64.b64encode(bytes_).decode()}


def _tensor(plain: Mapping[str, Any]) -> Tensor:
    values = np.frombuffer(base64.b64decode(plain["base64"]), dtype=plain["dtype"])
    return torch.from_numpy(values.reshape(-1, plain["width"]).copy())
