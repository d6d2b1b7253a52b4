"""What a service does with its stored vectors when its model is replaced, and when queries go to the new one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from cl_engine.errors import InputError

Kind = Literal["keep", "never", "lazy", "transform", "backfill"]
Order = Literal["random", "oldest", "newest", "popularity", "distance", "sigma"]
Map = Literal["procrustes", "ridge"]
Switch = Literal["immediately", "when-finished"] | float


@dataclass(frozen=True)
class Policy:
    """A policy and a switching rule, which are independent of each other.

    ``keep`` ignores new models.  ``never`` embeds new images by the new model and leaves the stored vectors alone,
    so that old and new ones are searched together.  ``lazy`` does too, and embeds a stored image anew when it is
    the answer to a query.  ``backfill`` embeds every stored image anew, ``rate`` images per second, in batches.
    ``transform`` embeds ``pairs`` images anew, fits a map from old to new vectors on them and applies it to all
    others; with a ``map``, ``backfill`` does the same and goes on.

    Attributes:
        kind: of those.
        rate: images per second of the worker; infinity: all at once.
        order: in which stored images are embedded: by chance, by age, those first that answer most queries
            (``popularity``), that are farthest from the mean of their class (``distance``), or, those of the map
            apart, whose mapped vectors are expected to be farthest from the new ones (``sigma``).
        switch: when the new model takes over the queries: at once, when no old vector is left, or at that share of
            vectors in the new space.  Until then the old index is kept beside the one that is built, and new
            images are embedded by both models.
        batch: images that a worker embeds at once.
        map: the map of ``transform``; of ``backfill`` None is none.
        pairs: images that it is fitted on.

    Raises:
        InputError: an option that is not allowed, or two that exclude each other.

    >>> Policy("backfill", rate=20.0, switch="when-finished").share
    1.0
    """

    kind: Kind = "never"
    rate: float = 20.0
    order: Order = "random"
    switch: Switch = "immediately"
    batch: int = 32
    map: Map | None = None
    pairs: int = 256

    def __post_init__(self) -> None:
        for name, kinds in (("kind", Kind), ("order", Order)):
            if getattr(self, name) not in get_args(kinds):
                raise InputError(f"{name} is {getattr(self, name)!r}; allowed: {', '.join(get_args(kinds))}")
        if not self.rate >= 0:
            raise InputError(f"rate is {self.rate}; allowed: 0 or more images per second")
        if self.batch < 1 or self.pairs < 1:
            raise InputError("batch and pairs; allowed: 1 or more")
        if self.switch not in ("immediately", "when-finished") and not (
            isinstance(self.switch, int | float) and 0 <= self.switch <= 1
        ):
            allowed = "immediately, when-finished, or a share from 0 to 1"
            raise InputError(f"switch is {self.switch!r}; allowed: {allowed}")
        if self.kind in ("never", "lazy") and self.share > 0:
            what = f"switch is {self.switch} under {self.kind}"
            raise InputError(f"{what}; allowed: immediately, as nothing makes sure that all is renewed")
        if self.map not in (None, *get_args(Map)):
            raise InputError(f"map is {self.map!r}; allowed: {', '.join(get_args(Map))}")
        if (self.map is None) == (self.kind == "transform") and self.kind != "backfill":
            raise InputError(f"map is {self.map} under {self.kind}; allowed: a map with transform or backfill")
        if self.order == "sigma" and (self.kind != "backfill" or self.map is None):
            what = f"order is sigma under {self.kind}" + (" without a map" if self.kind == "backfill" else "")
            raise InputError(f"{what}; allowed: backfill with a map, whose error it is")

    @property
    def share(self) -> float:
        """Share of vectors in the new space at which queries go to the new model."""
        if isinstance(self.switch, str):
            return 0.0 if self.switch == "immediately" else 1.0
        return float(self.switch)

    @property
    def worker(self) -> float:
        """Images per second that are embedded anew; 0 where none is."""
        return self.rate if self.kind in ("backfill", "transform") else 0.0

    @property
    def needs_images(self) -> bool:
        """Whether raw images must be kept, so that they can be embedded anew."""
        return self.worker > 0 or self.kind == "lazy"

    def span(self, images: float) -> float:
        """Return the seconds that the worker needs for so many images."""
        if not images:
            return 0.0
        return images / self.worker if self.worker else math.inf
