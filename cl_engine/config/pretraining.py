"""A model that is trained before a run: the scenario of the run that trains it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cl_engine.config.galleries import Chosen, origin_of
from cl_engine.data.samples import DataSource
from cl_engine.kinds.problems import OptionError
from cl_engine.randomness import derive


def pretrained_data(pretrain: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data section that a model is trained on: other data, or some classes of the scenario's.

    Raises:
        OptionError: neither is named, or the scenario's own data is an object.
    """
    if pretrain["data"] is None and pretrain["classes"] is None:
        raise OptionError("pretrain.classes", "missing; allowed: classes of the scenario's data, or other data")
    data = pretrain["data"] or own
    if not data:
        raise OptionError("pretrain.data", "missing, and the scenario's data is an object; allowed: a data source")
    if pretrain["classes"] is None:
        return dict(data)
    return {"kind": "subset", "of": dict(data), "classes": sorted({*pretrain["classes"]}), "exclude": None}


def pretraining_run(
    entry: Mapping[str, Any], keys: Mapping[str, Any], data: Mapping[str, Any], source: DataSource
) -> dict[str, Any]:
    """Return the scenario that trains a model: one experience of all classes, by the scenario's own strategy.

    A simplex has its vertices from the other end, so that no class of the stream has the vertex of a class that
    the model was trained on.  The classes are numbered by their labels: one that two models have in common has one
    vertex in both where the smaller set of labels is the beginning of the larger one.

    Args:
        entry: of `replace`, complete.
        keys: the scenario's.
        data: as of :func:`pretrained_data`.
        source: the data.
    """
    asked, strategy, training = entry["pretrain"], dict(keys["strategy"]), dict(keys["training"])
    if "vertices" in strategy:
        strategy["vertices"] = {"first": "last", "last": "first"}[strategy["vertices"]]
    if entry["backbone"] is not None:
        strategy["backbone"] = entry["backbone"]
    if asked["epochs"] is not None:
        training |= {"epochs": asked["epochs"], "first": None}
    seed = asked["seed"]
    if seed is None:
        seed = int.from_bytes(derive(keys["seed"], f"pretrain {entry['at']}")[:4], "little")
    classes = len(np.unique(source.labels().train))
    return {
        "name": "pretrained",
        "data": dict(data),
        "stream": {"kind": "class-incremental", "step": classes, "class_order": "natural"},
        "strategy": strategy,
        "training": training,
        "seed": seed,
        "device": keys["device"],
    }


def check_never_trained_on(data: Mapping[str, Any], source: DataSource, parts: tuple[Chosen, ...]) -> None:
    """Check that no gallery and no query is of a class that a model is trained on before the run.

    Raises:
        OptionError: one is.
    """
    trained = np.unique(source.labels().train)
    for part in parts:
        if part.origin == origin_of(data) and (met := np.intersect1d(trained, part.classes)).size:
            what = f"class {met[0]} is one of the gallery's; allowed: classes that no gallery has"
            raise OptionError("pretrain.classes", what)
