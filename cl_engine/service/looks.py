"""What is seen of a service: the accuracy of its answers over time, beside that of one renewed at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cl_engine.metrics.nearest import fitted, search
from cl_engine.service.arrivals import Times
from cl_engine.service.product import CENTRES


@dataclass(frozen=True)
class Store:
    """What a service has when a model is replaced.

    Attributes:
        serving: number of the model that queries go to.
        queries: by that model, ``[Q, D]``.
        vectors: what is stored, ``[N, D]``, as it is read back; of images that are yet to come what that model will
            make of them.
        versions: number of the model that embedded each vector, int64 ``[N]``.
        sizes: bytes of each vector, int64 ``[N]``.
        codebooks: bytes of the codebook of each model, by its number, where vectors are coded by one.
    """

    serving: int
    queries: Tensor
    vectors: Tensor
    versions: Tensor
    sizes: Tensor
    codebooks: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """What was done since the coming of a model.

    Attributes:
        re_embedded: stored images that were embedded anew.
        inserted: images that came, each embedded once.
        twice: those of them that were embedded by a second model.
        mapped: vectors that were mapped.
        busy: seconds that the worker worked.
    """

    re_embedded: int = 0
    inserted: int = 0
    twice: int = 0
    mapped: int = 0
    busy: float = 0.0


@dataclass(frozen=True)
class Watched:
    """A service from the coming of a model to the coming of the next one.

    Attributes:
        times: when it was looked at, seconds.
        accuracy: share of the queries whose nearest vector is of their class, at each time.
        fresh: the same if the newest model had embedded everything at once.
        current: share of vectors that the newest model embedded.
        vector_bytes: of all stored vectors, those of an index that is being built and codebooks included.
        codebook_bytes: of the codebooks alone.
        embedded: images that were embedded anew or a second time by then.
        mapped_by: vectors that were mapped by then.
        compared: products of values in searches for queries at their rate.
        work: what was done.
        switched: when queries went to the newest model; None: not in this time.
        negative_flips: share of queries that were answered rightly before the switch and wrongly after it.
    """

    times: list[float]
    accuracy: list[float]
    fresh: list[float]
    current: list[float]
    vector_bytes: list[int]
    codebook_bytes: list[int]
    embedded: list[int]
    mapped_by: list[int]
    compared: float
    work: Work
    switched: float | None = None
    negative_flips: float | None = None


class Looks:
    """Looks at a service over time.

    Args:
        labels: classes of the gallery's images, int64 ``[N]``.
        query_labels: classes of the queries, int64 ``[Q]``.
        arrivals: when each image comes, ``[N]``.
        fresh: what would be stored if the newest model had embedded everything.
        parts: look-ups of a comparison where vectors are coded by parts; None: one product for each value.
    """

    def __init__(
        self, labels: Tensor, query_labels: Tensor, arrivals: Times, fresh: Store, parts: int | None = None
    ) -> None:
        self.labels, self.query_labels, self.arrivals, self._fresh = labels, query_labels, arrivals, fresh
        self.times, self.accuracy, self.fresh = list[float](), list[float](), list[float]()
        self.current, self.bytes, self.codebooks = list[float](), list[int](), list[int]()
        self.embedded, self.mapped, self.parts, self.products = list[int](), list[int](), parts, 0.0

    def at(self, time: float, store: Store, building: int | None, queries: float, work: Work) -> Tensor:
        """Look, and return the rows that queries are answered with, int64 ``[Q]``.

        Args:
            time: when.
            store: what is searched then.
            building: bytes of vectors of an index that is built beside it; None: there is none.
            queries: how many are answered until the next look.
            work: what was done by then.
        """
        there = torch.from_numpy(self.arrivals <= time)
        self.times.append(time)
        found = self.found(store, time)
        self.accuracy.append(float((self.labels[found] == self.query_labels).double().mean()))
        self.fresh.append(float(self.right(self._fresh, time).double().mean()))
        self.current.append(float((store.versions[there] == self._fresh.serving).double().mean()))
        needed = {
            *torch.unique(store.versions[there]).tolist(),
            *(() if building is None else (self._fresh.serving,)),
        }
        books = {**self._fresh.codebooks, **store.codebooks}
        self.codebooks.append(sum(books.get(version, 0) for version in needed))
        self.bytes.append(int(store.sizes[there].sum()) + (building or 0) + self.codebooks[-1])
        self.embedded.append(work.re_embedded + work.twice)
        self.mapped.append(work.mapped)
        width = store.vectors.shape[1]
        each = int(there.sum()) * (self.parts or width) + (CENTRES * width if self.parts else 0)
        self.products += queries * each
        return found

    def right(self, store: Store, time: float) -> Tensor:
        """Return which queries find a vector of their class first, bool ``[Q]``."""
        return self.labels[self.found(store, time)] == self.query_labels

    def found(self, store: Store, time: float) -> Tensor:
        """Return the row of the nearest vector of each query, int64 ``[Q]``."""
        there = torch.from_numpy(self.arrivals <= time)
        vectors = store.vectors[there]
        width = max(vectors.shape[1], store.queries.shape[1])
        nearest = search(fitted(store.queries, width), fitted(vectors, width)).indices[:, 0]
        return there.nonzero().flatten()[nearest]

    def watched(self, work: Work, switched: float | None = None, negative_flips: float | None = None) -> Watched:
        """Return what was seen."""
        return Watched(
            self.times,
            self.accuracy,
            self.fresh,
            self.current,
            self.bytes,
            self.codebooks,
            self.embedded,
            self.mapped,
            self.products,
            work,
            switched,
            negative_flips,
        )
