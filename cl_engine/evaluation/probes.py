"""Probes: what a representation is worth after each experience, and how far it drifts.

``linear`` is the accuracy of a linear classifier on it, ``cka`` how alike it is to what it was, ``drift`` how far
samples, class means and held prototypes have moved, ``angles`` how far class means are from the vertices that a
fixed simplex gives their classes.  All of them look at samples of the engine's own choice (:class:`ProbeData`),
which no strategy is shown and none is charged for; the record says so.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cl_engine.evaluation.drift import angles, angular_drift, class_means, relative_drift
from cl_engine.evaluation.evaluator import Predictor
from cl_engine.evaluation.linear import linear_probe
from cl_engine.evaluation.observing import FEATURES, VERTICES, RepresentationError
from cl_engine.evaluation.probe_data import ProbeData
from cl_engine.memory.state import HeldState
from cl_engine.metrics.similarity import unbiased_cka

Probe = Literal["linear", "cka", "drift", "angles"]
DRIFTS = ("features", "means", "means_since_learned", "prototypes", "prototype_gap")
WHOSE = (
    "chosen by the engine from the whole data, training samples by their true labels; the strategy neither sees "
    "them for a probe nor is charged for them"
)


class Seen(NamedTuple):
    """What the probes of the next experience compare with: of which one it is, features, prototypes."""

    experience: int
    features: Tensor
    prototypes: Tensor | None


class Probes:
    """Look at the representation of a rebuilt strategy; see :class:`Diagnostic`.

    What is compared with is the representation after the experience before, made again from what was held where
    this process has not seen it, and what the records of earlier experiences keep: the features of the first
    classes, and the mean of every class as it was when it had been learned.

    Args:
        data: the samples.
        asked: names of the probes.
    """

    def __init__(self, data: ProbeData, asked: Sequence[Probe]) -> None:
        self.data, self.asked = data, asked
        self._exposed = 0  # classes before the experience that goes on
        self._first: tuple[int, Tensor] | None = None  # classes of the first experience with any, their features
        self._learned: list[Tensor] = []  # class means by the experience that exposed them
        self._seen: Seen | None = None

    def facts(
        self, now: Predictor, before: Callable[[], Predictor], experience: int, exposed: int
    ) -> dict[str, Any]:
        """Return ``probes``: a value by probe, how many samples they are of, and what later ones compare with."""
        x, y = self.data.fixed(exposed)
        found: dict[str, Any] = {"test_samples": len(y)}
        if not exposed:
            return {"probes": {**found, "kept": {}}}
        features = now.observe(FEATURES, x)["features"]
        prototypes = _prototypes(now.held, exposed)
        if "linear" in self.asked:
            found |= self._linear(now, experience, exposed, features, y)
        old = self._exposed
        if old and (self._seen is None or self._seen.experience != experience - 1):
            earlier = before()
            old_x, _ = self.data.fixed(old)
            then = earlier.observe(FEATURES, old_x)["features"]
            self._seen = Seen(experience - 1, then, _prototypes(earlier.held, old))
        if "cka" in self.asked:
            found["cka"] = self._cka(features, y, old)
        means = class_means(features, y, exposed)
        if "drift" in self.asked:
            found["drift"] = self._drift(features, y, means, prototypes, old)
        if "angles" in self.asked:
            vertices = now.observe(VERTICES, x)["vertices"]
            if vertices.shape[1] != means.shape[1]:
                widths = f"features have {means.shape[1]} values and vertices {vertices.shape[1]}"
                raise RepresentationError(f"{widths}; allowed: as many, for probes: [angles]")
            found["angles"] = angles(means, vertices[:exposed]).tolist()
        self._seen = Seen(experience, features, prototypes)
        return {"probes": {**found, "kept": self._kept(features, means, old)}}

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take what later experiences are compared with from a record."""
        kept, exposed = line["probes"]["kept"], self._exposed + len(line["new_classes"])
        if "first" in kept:
            self._first = exposed, _decoded(kept["first"])
        if "means" in kept:
            self._learned.append(_decoded(kept["means"]))
        self._exposed = exposed

    def summary(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return ``probes``: per experience each value, and which samples they are of."""
        probes = [line["probes"] for line in lines]
        found: dict[str, Any] = {"samples_are": WHOSE, "per_class": self.data.per_class}
        for name in ("train_samples", "test_samples", "linear"):
            if name == "test_samples" or "linear" in self.asked:
                found[name] = [probe.get(name) for probe in probes]
        for name, parts in (("cka", ("first", "previous")), ("drift", DRIFTS)):
            if name in self.asked:
                found[name] = {part: [probe.get(name, {}).get(part) for probe in probes] for part in parts}
        if "angles" in self.asked:
            found["angles"] = _by_age([probe.get("angles", []) for probe in probes])
        return {"probes": found}

    def _linear(self, now: Predictor, experience: int, exposed: int, features: Tensor, y: Tensor) -> dict[str, Any]:
        """Train the linear probe on training samples of all classes, and test it on samples of all experiences."""
        train_x, train_y = self.data.train(experience, exposed)
        if self.data.transformed:
            x, y = self.data.spread(experience, exposed)
            features = now.observe(FEATURES, x)["features"]
        trained = now.observe(FEATURES, train_x)["features"]
        return {"linear": linear_probe(trained, train_y, features, y), "train_samples": len(train_y)}

    def _cka(self, features: Tensor, y: Tensor, old: int) -> dict[str, float | None]:
        first = previous = None
        if self._first is not None:
            classes, then = self._first
            first = unbiased_cka(then, features[y < classes])
        if old and self._seen is not None:
            previous = unbiased_cka(self._seen.features, features[y < old])
        return {"first": first, "previous": previous}

    def _drift(
        self, features: Tensor, y: Tensor, means: Tensor, prototypes: Tensor | None, old: int
    ) -> dict[str, float | None]:
        found: dict[str, float | None] = dict.fromkeys(DRIFTS)
        if prototypes is not None and prototypes.shape == means.shape:
            found["prototype_gap"] = angular_drift(prototypes, means)
        if not old or self._seen is None:
            return found
        of_old = y < old
        then = class_means(self._seen.features, y[of_old], old)
        found["features"] = relative_drift(self._seen.features, features[of_old])
        found["means"] = relative_drift(then, means[:old])
        found["means_since_learned"] = _since_learned(self._learned, means)
        if prototypes is not None and self._seen.prototypes is not None:
            found["prototypes"] = angular_drift(self._seen.prototypes, prototypes[:old])
        return found

    def _kept(self, features: Tensor, means: Tensor, old: int) -> dict[str, Any]:
        """Return what later experiences are compared with, of the classes that are new."""
        kept = {}
        if "cka" in self.asked and self._first is None:
            kept["first"] = _encoded(features)
        if "drift" in self.asked and old < len(means):
            kept["means"] = _encoded(means[old:])
        return kept


def _by_age(classes: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Return the angles of all classes per experience, and the means of old and of new ones; degrees."""
    old = [0, *map(len, classes)][:-1]
    parts = {
        "old": [row[:n] for row, n in zip(classes, old, strict=True)],
        "new": [row[n:] for row, n in zip(classes, old, strict=True)],
    }
    means = {name: [sum(row) / len(row) if row else None for row in rows] for name, rows in parts.items()}
    return {"classes": classes, **means}


def _since_learned(learned: Sequence[Tensor], means: Tensor) -> float | None:
    """Return the drift of class means since each was learned; their widths may differ, so part by part."""
    widest = max(part.shape[1] for part in learned)
    then = torch.cat([torch.nn.functional.pad(part, (0, widest - part.shape[1])) for part in learned]).double()
    widths = torch.cat([torch.full((len(part),), part.shape[1]) for part in learned])
    there = torch.arange(means.shape[1])[None, :] < widths[:, None]
    width = min(widest, means.shape[1])
    return relative_drift(then[:, :width], (means[: len(then)] * there)[:, :width])


def _prototypes(held: HeldState, classes: int) -> Tensor | None:
    """Return what is held of the kind ``prototypes``, one row a class ``[C, D]``; None where nothing is."""
    for entry in held.entries:
        if entry.kind == "prototypes" and len(entry.shape) == 2 and entry.shape[0] == classes:
            return held.tensors[entry.name].double()
    return None


def _encoded(values: Tensor) -> dict[str, Any]:
    """Return a table of numbers as plain data, exactly."""
    table = values.numpy()
    table = table.astype(table.dtype.newbyteorder("<"))
    data = base64.b64encode(table.tobytes()).decode()
    return {"width": values.shape[1], "dtype": table.dtype.str, "base64": data}


def _decoded(plain: Mapping[str, Any]) -> Tensor:
    table = np.frombuffer(base64.b64decode(plain["base64"]), dtype=plain["dtype"])
    return torch.from_numpy(table.reshape(-1, plain["width"]).astype(table.dtype.newbyteorder("=")))
