"""What becomes of the galleries that a service has stored when a model comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.evaluation.evaluator import Predictor
from cl_engine.evaluation.observing import FEATURES, RENEWED, STORED
from cl_engine.metrics.mapped import mapped_gallery
from cl_engine.service.policy import Map


class Renewed(NamedTuple):
    """Galleries as a new model finds them.

    Attributes:
        galleries: of each model before, the oldest first.
        uncertainty: of the last one, how far off each vector is expected to be, ``[N]``; None: not said.
    """

    galleries: list[Tensor]
    uncertainty: Tensor | None = None


class Renewal(Protocol):
    """A way of dealing with stored vectors.

    Attributes:
        whole: it needs every vector, so that templates are made only when a gallery is searched.
        lasts: what it made of a gallery is what is stored from then on.
        words: what the result says of it.
    """

    whole: bool
    lasts: bool
    words: dict[str, Any]

    def stored(self, model: Predictor, samples: Samples) -> Tensor:
        """Return what is stored of samples, float32 ``[N, W]``."""

    def renewed(self, model: Predictor, galleries: Sequence[Tensor], own: Tensor) -> Renewed:
        """Return what becomes of the galleries of models before; ``own`` is the model's own."""


class Untouched:
    """Stored vectors stay as they are."""

    whole, lasts = False, False

    def __init__(self) -> None:
        self.words: dict[str, Any] = {}

    def stored(self, model: Predictor, samples: Samples) -> Tensor:
        """Return features."""
        return model.observe(FEATURES, samples.inputs)["features"].float()

    def renewed(self, model: Predictor, galleries: Sequence[Tensor], own: Tensor) -> Renewed:
        """Return them."""
        return Renewed([*galleries])


class ClosedForm(Untouched):
    """Each stored gallery is mapped by what :func:`mapped_gallery` fits, from its own model to the new one.

    Args:
        kind: of the map.
        pairs: images that both models embed.
        seed: of their choice.
    """

    whole = True

    def __init__(self, kind: Map, pairs: int, seed: int) -> None:
        self.kind, self.pairs, self.seed = kind, pairs, seed
        self.words = {"map": {"kind": kind, "pairs": pairs}}

    def renewed(self, model: Predictor, galleries: Sequence[Tensor], own: Tensor) -> Renewed:
        """Return mapped galleries; the stored ones are kept, and mapped anew each time."""
        return Renewed([mapped_gallery(old, own, self.kind, self.pairs, self.seed) for old in galleries])


class ByStrategy:
    """The strategy maps what is stored, from each model to the next: its methods ``stored`` and ``renewed``."""

    whole, lasts = True, True

    def __init__(self) -> None:
        self.words: dict[str, Any] = {"map": {"kind": "strategy"}}

    def stored(self, model: Predictor, samples: Samples) -> Tensor:
        """Return features with side information beside them."""
        return model.observe(STORED, samples.inputs)["stored"].float()

    def renewed(self, model: Predictor, galleries: Sequence[Tensor], own: Tensor) -> Renewed:
        """Return all galleries through the map of the strategy; they are in one space by now."""
        if not galleries:
            return Renewed([])
        found = model.observe(RENEWED, torch.cat([*galleries]))
        mapped = torch.split(found["renewed"].float(), [len(gallery) for gallery in galleries])
        uncertainty = found.get("uncertainty")
        return Renewed([*mapped], None if uncertainty is None else uncertainty[-len(galleries[-1]) :])
