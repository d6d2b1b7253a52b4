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
from cl_engine.service.arrivals import Times
from cl_engine.service.codes import Code, stored, vector_bytes
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
        rate: queries each second.
        seed: of the order of renewal.

    Raises:
        InputError: labels and arrivals that do not fit, or nothing in the gallery at the start.
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
        rate: float = 5.0,
        seed: int = 0,
    ) -> None:
        if len(labels) != len(arrivals) or not (arrivals <= 0).any():
            raise InputError(f"{len(labels)} labels, {len(arrivals)} arrivals; allowed: as many, one or more by 0")
        if not every > 0:
            raise InputError(f"every is {every}; allowed: above 0 seconds")
        self.labels, self.query_labels, self.arrivals = labels, query_labels, np.asarray(arrivals, np.float64)
        self.policy, self.every, self.code, self.prefix = policy, every, code, prefix
        self.rate, self.seed = rate, seed

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
        new = stored(gallery, self.code, self.prefix)
        size = torch.full_like(self.labels, vector_bytes(gallery.shape[1], self.code, self.prefix))
        own = Store(version, queries[:, : self.prefix], new, torch.full_like(self.labels, version), size)
        looks = Looks(self.labels, self.query_labels, self.arrivals, own)
        if store is None or self.policy.kind == "keep":  # the model goes on, or is the first one
            for time in self._times(start, end):
                looks.at(time, store or own, 0, self.rate * self.every)
            came = int(((self.arrivals > start) & (self.arrivals <= end)).sum())
            return store or own, looks.watched(Work(inserted=came))
        present = torch.from_numpy(self.arrivals <= start).nonzero().flatten()
        draw = numpy_generator(self.seed, f"renewal {version}")
        order = renewal_order(self.policy.order, present, self.arrivals, store.vectors, self.labels, draw)
        renewal = Renewal(self.policy, order, self.arrivals, start)
        mapped, size_new = self._mapped(store, own, renewal), int(size[0])
        for time in self._times(start, end):
            state = self._at(time, store, own, renewal, mapped)
            building = size_new * renewal.renewed(time) if state is store else 0
            looks.at(time, state, building, self.rate * self.every)
        work = Work(
            re_embedded=renewal.done(end),
            inserted=renewal.came(end),
            twice=renewal.came(min(renewal.switch, end)),
            mapped=len(order) - renewal.done(renewal.mapped_at) if renewal.mapped_at <= end else 0,
            busy=min(renewal.finish, end) - start if self.policy.worker else 0.0,
        )
        at_end = self._at(end, store, own, renewal, mapped)
        if renewal.switch > end:
            return at_end, looks.watched(work)
        before = looks.right(store, renewal.switch)
        after = looks.right(self._at(renewal.switch, store, own, renewal, mapped), renewal.switch)
        return at_end, looks.watched(work, renewal.switch, float((before & ~after).double().mean()))

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

    def _at(self, time: float, store: Store, own: Store, renewal: Renewal, mapped: Tensor | None) -> Store:
        """Return what is searched at a time: the old index, or what has become of it."""
        if time < renewal.switch:
            return store
        width = max(store.vectors.shape[1], own.vectors.shape[1])
        vectors, versions, sizes = fitted(store.vectors, width).clone(), store.versions.clone(), store.sizes.clone()
        if mapped is not None and time >= renewal.mapped_at:
            vectors, sizes = fitted(mapped, width).clone(), own.sizes.clone()
        renewed = torch.from_numpy(self.arrivals > renewal.start)
        renewed[renewal.queue[: renewal.done(time)]] = True
        vectors[renewed] = fitted(own.vectors, width)[renewed]
        versions[renewed], sizes[renewed] = own.serving, own.sizes[renewed]
        if bool((versions == own.serving).all()):
            vectors = vectors[:, : own.vectors.shape[1]]
        return Store(own.serving, own.queries, vectors, versions, sizes)
