"""What is seen of a service: the accuracy of its answers over time, beside that of one renewed at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cl_engine.metrics.nearest import fitted, search
from cl_engine.service.arrivals import Times


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
    """

    serving: int
    queries: Tensor
    vectors: Tensor
    versions: Tensor
    sizes: Tensor


@dataclass(frozen=True)
class Work:
    """What was done from the coming of a model to the coming of the next one.

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
        vector_bytes: of all stored vectors, those of an index that is being built included.
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
    """

    def __init__(self, labels: Tensor, query_labels: Tensor, arrivals: Times, fresh: Store) -> None:
        self.labels, self.query_labels, self.arrivals, self._fresh = labels, query_labels, arrivals, fresh
        self.times, self.accuracy, self.fresh = list[float](), list[float](), list[float]()
        self.current, self.bytes, self.products = list[float](), list[int](), 0.0

    def at(self, time: float, store: Store, building: int, queries: float) -> None:
        """Look.

        Args:
            time: when.
            store: what is searched then.
            building: bytes that are kept beside it.
            queries: how many are answered until the next look.
        """
        there = torch.from_numpy(self.arrivals <= time)
        self.times.append(time)
        self.accuracy.append(float(self.right(store, time).double().mean()))
        self.fresh.append(float(self.right(self._fresh, time).double().mean()))
        self.current.append(float((store.versions[there] == self._fresh.serving).double().mean()))
        self.bytes.append(int(store.sizes[there].sum()) + building)
        self.products += queries * int(there.sum()) * store.vectors.shape[1]

    def right(self, store: Store, time: float) -> Tensor:
        """Return which queries find a vector of their class first, bool ``[Q]``."""
        there = torch.from_numpy(self.arrivals <= time)
        vectors = store.vectors[there]
        width = max(vectors.shape[1], store.queries.shape[1])
        found = search(fitted(store.queries, width), fitted(vectors, width)).indices[:, 0]
        return self.labels[there][found] == self.query_labels

    def watched(self, work: Work, switched: float | None = None, negative_flips: float | None = None) -> Watched:
        """Return what was seen."""
        return Watched(
            self.times,
            self.accuracy,
            self.fresh,
            self.current,
            self.bytes,
            self.products,
            work,
            switched,
            negative_flips,
        )
