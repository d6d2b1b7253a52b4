"""Galleries and queries of classes never trained on; the `evaluate.compatibility` section, which compares them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from cl_engine.data.samples import DataSource, Labels, Samples
from cl_engine.evaluation.observing import representation
from cl_engine.kinds.problems import Problem, Problems
from cl_engine.kinds.signature import Part, Section
from cl_engine.metrics.cross_tests import Protocol
from cl_engine.scenarios.plan import StreamPlan
from cl_engine.service.policy import Map
from cl_engine.strategies.strategy import Strategy

WHERE = ("evaluate", "compatibility")
Split = Literal["train", "test"]
Classes = Annotated[
    list[int] | None,
    Field(description="labels of the classes; default: of the scenario's own data what the stream leaves out"),
]


def gallery(
    *,
    data: Annotated[Any, Part("data"), Field(description="whose samples; default: the scenario's own")] = None,
    split: Annotated[Split, Field(description="which part of the data")] = "test",
    classes: Classes = None,
) -> None:
    """Name the options of the gallery; never called."""


def queries(
    *,
    data: Annotated[Any, Part("data"), Field(description="whose samples; default: as the gallery")] = None,
    split: Annotated[Split, Field(description="which part of the data")] = "train",
    classes: Annotated[list[int] | None, Field(description="labels; default: as the gallery")] = None,
) -> None:
    """Name the options of the queries; never called."""


def compatibility(
    *,
    gallery: Annotated[Any, Section(gallery), Field(description="what every model embeds once and keeps")] = {},  # noqa: B006
    queries: Annotated[Any, Section(queries), Field(description="what later models search it with")] = {},  # noqa: B006
    protocol: Annotated[
        Protocol,
        Field(
            description="top-1 among one template a class (IAM-CL2R) or all instances, mean average precision, or "
            "verification of pairs (CoReS, CL2R)"
        ),
    ] = "templates",
    map: Annotated[
        Map | None,
        Field(
            description="what older galleries go through before a newer model searches them: a closed-form map; "
            "default: nothing, or what the strategy itself does with stored vectors"
        ),
    ] = None,
    pairs: Annotated[int, Field(ge=1, description="images of a gallery that the map is fitted on")] = 256,
    prefix: Annotated[
        int | None, Field(ge=1, description="store and compare the first values of each vector only; null: all")
    ] = None,
) -> None:
    """Name the options of `evaluate.compatibility`; never called."""


@dataclass(frozen=True)
class Chosen:
    """Samples of some classes of a part of a data source; ``origin`` is the data whose labels they have."""

    source: DataSource
    origin: Mapping[str, Any]
    split: Split
    classes: tuple[int, ...]

    def __len__(self) -> int:
        """Return how many samples they are, by the labels alone."""
        labels = self.source.labels()
        return int(np.isin(labels.train if self.split == "train" else labels.test, self.classes).sum())

    def load(self) -> Samples:
        """Return the samples, with the data's own labels."""
        data = self.source.load()
        part = data.train if self.split == "train" else data.test
        return part[torch.isin(part.y, torch.tensor(self.classes))]


@dataclass(frozen=True)
class Galleries:
    """What compatibility is measured on.

    Attributes:
        gallery: what every model embeds once.
        queries: what is searched for.
        protocol: how a score is made.
        map: the closed-form map that older galleries go through, or None.
        pairs: images that it is fitted on.
        prefix: how many values of a vector are stored and compared, or None.
    """

    gallery: Chosen
    queries: Chosen
    protocol: Protocol
    map: Map | None
    pairs: int
    prefix: int | None


def held_out_parts(
    options: Mapping[str, Any],
    own: DataSource,
    named: Mapping[str, Any],
    labels: Labels,
    plan: StreamPlan,
    made: Callable[[Mapping[str, Any]], DataSource],
) -> tuple[Chosen, Chosen]:
    """Return the gallery and the queries that a section names.

    Args:
        options: the section, complete.
        own: the scenario's own data.
        named: what the scenario says of it.
        labels: its labels.
        plan: of the stream.
        made: makes a data source of what the section says of one.

    Raises:
        Problems: samples of another shape, classes that are not there, that the stream delivers, or that the
            gallery lacks; fewer than two classes.  Paths are relative to the section.
    """
    said, asked = options["gallery"], options["queries"]
    of = said["data"] or named
    chosen = _chosen("gallery", said, own if said["data"] is None else made(said["data"]), of, said["classes"])
    if said["data"] is None:
        chosen = _held_out(chosen, said["classes"], labels, plan)
    source = chosen.source if asked["data"] is None else made(asked["data"])
    wanted = _chosen("queries", asked, source, asked["data"] or of, asked["classes"] or list(chosen.classes))
    for name, part in (("gallery", chosen), ("queries", wanted)):
        shape = part.source.labels().shape
        if shape != labels.shape:
            what = (
                f"samples are {list(shape)} and those of the stream {list(labels.shape)}; allowed: the same shape"
            )
            raise _problem(name, "data", what)
        if part.origin == origin_of(named) and (met := _met(part.classes, labels, plan)):
            what = f"the stream delivers class {met[0]}; allowed: classes that it leaves out, or other data"
            raise _problem(name, "classes", what)
    if lacking := sorted({*wanted.classes} - {*chosen.classes}):
        raise _problem("queries", "classes", f"the gallery has no class {lacking[0]}; allowed: its classes")
    if len(chosen.classes) < 2:
        raise _problem("gallery", "classes", "fewer than two classes; allowed: two or more")
    return chosen, wanted


def origin_of(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data that subsets, and features, are made of; its labels are theirs."""
    return origin_of(data["of"]) if isinstance(data.get("of"), Mapping) else data


def check_comparable(strategy: Strategy, kind: str, where: tuple[str, ...] = WHERE) -> None:
    """Check that a strategy that has begun has features.

    Args:
        strategy: the strategy.
        kind: what the scenario calls it.
        where: the section that asks for them.

    Raises:
        Problems: it has none.
    """
    if representation(strategy) is None:
        what = f"compares features, and {kind} has none; allowed: a strategy that has features(x), [B, D]"
        raise Problems([Problem(where, what)])


def _chosen(
    name: str, said: Mapping[str, Any], source: DataSource, of: Mapping[str, Any], classes: list[int] | None
) -> Chosen:
    labels = source.labels()
    there = np.unique(labels.train if said["split"] == "train" else labels.test).tolist()
    if unknown := sorted({*(classes or ())} - {*there}):
        raise _problem(name, "classes", f"this data has no class {unknown[0]}; allowed: labels of its samples")
    kept = sorted({*(there if classes is None else classes)})
    return Chosen(source, origin_of(of), said["split"], tuple(kept))


def _held_out(chosen: Chosen, asked: list[int] | None, labels: Labels, plan: StreamPlan) -> Chosen:
    if asked is not None:
        return chosen
    left = tuple(sorted({*chosen.classes} - {*_met(chosen.classes, labels, plan)}))
    if not left:
        what = (
            "the stream delivers every class of this data; allowed: other data, or a stream that leaves classes "
            "out (such as class-incremental with `remainder: drop`)"
        )
        raise _problem("gallery", "data", what)
    return dataclasses.replace(chosen, classes=left)


def _met(classes: tuple[int, ...], labels: Labels, plan: StreamPlan) -> list[int]:
    """Return those of the classes that the stream delivers a sample of, ascending."""
    return [int(label) for label in np.intersect1d(labels.train[plan.indices], classes)]


def _problem(part: str, option: str, what: str) -> Problems:
    return Problems([Problem((part, option), what)])
