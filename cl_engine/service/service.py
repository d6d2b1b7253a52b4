"""A service of one gallery: what is stored, what queries find in it over time, and what that costs."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.errors import InputError
from cl_engine.metrics.nearest import fitted
from cl_engine.randomness import numpy_generator
from cl_engine.service.arrivals import Times, poisson_queries
from cl_engine.service.codes import PARTS, Code, codebook_bytes, stored, vector_bytes
from cl_engine.service.expected import expected_error
from cl_engine.service.looks import Looks, Store, Watched, Work
from cl_engine.service.maps import MAPS
from cl_engine.service.policy import Policy
from cl_engine.service.renewal import Renewal, renewal_order


class Service:
    """Serves queries from a gallery while models come and images arrive.

    Args:
        labels: classes of the gallery's images, int64 ``[N]``; for scores and for the order ``distance``.
        query_labels: classes of the queries, int64 ``[Q]``.
        arrivals: when each image of the gallery comes, ``[N]``; one or more by time 0.
        policy: what is done with stored vectors.
        every: seconds between two looks at the accuracy.
        code: how a vector is stored.
        prefix: how many of its values; None: all.
        parts: bytes of a vector under ``pq``; its codebook is trained on the images that are there when its model
            comes.
        rate: queries each second.
        seed: of the order of renewal, and of the queries that ``lazy`` answers.

    Raises:
        InputError: labels and arrivals that do not fit, nothing in the gallery at the start, or a map of vectors
            that are coded by parts.
    """

    def __init__(
        self,
        labels: Tensor,
        query_labels: Tensor,
        arrivals: Times,
        policy: Policy,
        *,
        every: float = 100.0,
        code: Code = "float32",
        prefix: int | None = None,
        parts: int = PARTS,
        rate: float = 5.0,
        seed: int = 0,
    ) -> None:
        if len(labels) != len(arrivals) or not (arrivals <= 0).any():
            raise InputError(f"{len(labels)} labels, {len(arrivals)} arrivals; allowed: as many, one or more by 0")
        if not every > 0:
            raise InputError(f"every is {every}; allowed: above 0 seconds")
        if code == "pq" and policy.map is not None:
            raise InputError(
                f"map is {policy.map} under pq; allowed: no map, as codes belong to one model's codebook"
            )
        self.labels, self.query_labels, self.arrivals = labels, query_labels, np.asarray(arrivals, np.float64)
        self.policy, self.every, self.code, self.prefix = policy, every, code, prefix
        self.parts, self.rate, self.seed = parts, rate, seed

    def serve(
        self, store: Store | None, gallery: Tensor, queries: Tensor, version: int, start: float, end: float
    ) -> tuple[Store, Watched]:
        """Return what is stored when the next model comes, and what was seen until then.

        Args:
            store: what is stored when this model comes; None: nothing yet.
            gallery: all images by this model, ``[N, D]``, those that are yet to come too.
            queries: by this model, ``[Q, D]``.
            version: its number.
            start: when it comes.
            end: when the next one comes, or the horizon.
        """
        present = torch.from_numpy(self.arrivals <= start)
        own = self._all_by(gallery, queries, version, present)
        looks = Looks(self.labels, self.query_labels, self.arrivals, own, self.parts if self.code == "pq" else None)
        if store is None or self.policy.kind == "keep":  # the model goes on, or is the first one
            for time in self._times(start, end):
                looks.at(time, store or own, None, self.rate * self.every, Work())
            return store or own, looks.watched(Work(inserted=self._came(start, end)))
        if self.policy.kind == "lazy":
            return self._lazily(store, own, looks, start, end)
        draw = numpy_generator(self.seed, f"renewal {version}")
        answers = looks.found(store, start) if self.policy.order == "popularity" else None
        rows = present.nonzero().flatten()
        order = renewal_order(
            self.policy.order, rows, self.arrivals, store.vectors, self.labels, draw, answers=answers
        )
        renewal = Renewal(self.policy, order, self.arrivals, start)
        mapped, size = self._mapped(store, own, renewal), int(own.sizes[0])
        if mapped is not None and self.policy.order == "sigma":
            renewal.queue = self._by_expected_error(store, own, renewal, mapped)
        for time in self._times(start, end):
            state = self._at(time, store, own, renewal, mapped)
            building = size * renewal.renewed(time) if state is store else None
            looks.at(time, state, building, self.rate * self.every, renewal.work(time))
        at_end, work = self._at(end, store, own, renewal, mapped), renewal.work(end)
        if renewal.switch > end:
            return at_end, looks.watched(work)
        before = looks.right(store, renewal.switch)
        after = looks.right(self._at(renewal.switch, store, own, renewal, mapped), renewal.switch)
        return at_end, looks.watched(work, renewal.switch, float((before & ~after).double().mean()))

    def _all_by(self, gallery: Tensor, queries: Tensor, version: int, present: Tensor) -> Store:
        """Return what would be stored if one model had embedded everything; its codebook is of what is there."""
        form = (self.code, self.prefix, self.parts)
        book = codebook_bytes(gallery.shape[1], *form)
        return Store(
            version,
            queries[:, : self.prefix],
            stored(gallery, *form, trained_on=present),
            torch.full_like(self.labels, version),
            torch.full_like(self.labels, vector_bytes(gallery.shape[1], *form)),
            {version: book} if book else {},
        )

    def _lazily(self, store: Store, own: Store, looks: Looks, start: float, end: float) -> tuple[Store, Watched]:
        """Serve by the new model at once; what answers queries between two looks is embedded anew by the second."""
        renewed, times = torch.from_numpy(self.arrivals > start), self._times(start, end)
        draw = numpy_generator(self.seed, f"queries {own.serving}")
        asked = poisson_queries(len(self.query_labels), self.rate, self.every, len(times), draw)
        before, count = looks.right(store, start), 0
        after = looks.right(_mixed(store, own, renewed), start)
        for time, rows in zip(times, asked, strict=True):
            state = _mixed(store, own, renewed)
            work = Work(count, self._came(start, time))
            answers = looks.at(time, state, None, self.rate * self.every, work)
            touched = torch.unique(answers[torch.from_numpy(rows)])
            count += int((~renewed[touched]).sum())
            renewed[touched] = True
        flips = float((before & ~after).double().mean())
        return _mixed(store, own, renewed), looks.watched(Work(count, self._came(start, end)), start, flips)

    def _came(self, start: float, end: float) -> int:
        """Return how many images come between two times."""
        return int(((self.arrivals > start) & (self.arrivals <= end)).sum())

    def _times(self, start: float, end: float) -> list[float]:
        """Return when accuracy is looked at: at the start, and so on before the end."""
        return [start + n * self.every for n in range(math.ceil((end - start) / self.every))]

    def _mapped(self, store: Store, own: Store, renewal: Renewal) -> Tensor | None:
        """Return the stored vectors mapped to the new space, as they are stored again."""
        if self.policy.map is None or renewal.mapped_at == math.inf:
            return None
        pairs = renewal.queue[: renewal.done(renewal.mapped_at)]
        mapping = MAPS[self.policy.map](store.vectors[pairs], own.vectors[pairs])
        return stored(F.normalize(store.vectors) @ mapping, self.code)

    def _by_expected_error(self, store: Store, own: Store, renewal: Renewal, mapped: Tensor) -> Tensor:
        """Return the queue with what follows the pairs in the order of the error that is expected of the map."""
        pairs, rest = renewal.queue.tensor_split([renewal.done(renewal.mapped_at)])
        errors = (F.normalize(mapped[pairs]) - F.normalize(own.vectors[pairs])).square().sum(1)
        expected = expected_error(store.vectors[pairs], errors, store.vectors[rest]) if len(rest) else rest
        return torch.cat([pairs, rest[expected.argsort(descending=True, stable=True)]])

    def _at(self, time: float, store: Store, own: Store, renewal: Renewal, mapped: Tensor | None) -> Store:
        """Return what is searched at a time: the old index, or what has become of it."""
        if time < renewal.switch:
            return store
        renewed = torch.from_numpy(self.arrivals > renewal.start)
        renewed[renewal.queue[: renewal.done(time)]] = True
        return _mixed(store, own, renewed, mapped if time >= renewal.mapped_at else None)


def _mixed(store: Store, own: Store, renewed: Tensor, mapped: Tensor | None = None) -> Store:
    """Return an index with the new model's vectors where ``renewed``, else mapped ones or the old ones."""
    width = max(store.vectors.shape[1], own.vectors.shape[1])
    vectors, versions, sizes = fitted(store.vectors, width).clone(), store.versions.clone(), store.sizes.clone()
    if mapped is not None:
        vectors, sizes = fitted(mapped, width).clone(), own.sizes.clone()
    vectors[renewed] = fitted(own.vectors, width)[renewed]
    versions[renewed], sizes[renewed] = own.serving, own.sizes[renewed]
    if bool((versions == own.serving).all()):
        vectors = vectors[:, : own.vectors.shape[1]]
    return Store(own.serving, own.queries, vectors, versions, sizes, {**store.codebooks, **own.codebooks})
