"""Galleries of old models mapped into the space of a newer one, in closed form."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.errors import InputError
from cl_engine.metrics.nearest import vectors
from cl_engine.randomness import numpy_generator
from cl_engine.service.maps import MAPS
from cl_engine.service.policy import Map


def mapped_gallery(gallery: Any, newer: Any, kind: Map, pairs: int = 256, seed: int = 0) -> Tensor:
    """Return a gallery in the space of a newer model: all of it through one linear map of unit vectors, float32.

    The map is fitted on some of its images that the newer model embedded too, drawn by chance; of the newer
    gallery nothing else is looked at.

    Args:
        gallery: by the old model, ``[N, D]``.
        newer: the same images by the newer one, ``[N, D']``.
        kind: ``procrustes`` or ``ridge``; see :mod:`cl_engine.service.maps`.
        pairs: images that it is fitted on, 1 or more; all where there are no more.
        seed: of the draw.

    Raises:
        InputError: vectors that do not fit, no such map, or no pair.

    >>> mapped_gallery([[2.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [-3.0, 0.0]], "procrustes").round()
    tensor([[ 0.,  1.],
            [-1.,  0.]])
    """
    old, new = vectors("gallery", gallery), vectors("newer", newer)
    if len(old) != len(new):
        raise InputError(f"{len(old)} old and {len(new)} newer vectors; allowed: the same images by both models")
    if kind not in MAPS:
        raise InputError(f"map is {kind!r}; allowed: {', '.join(MAPS)}")
    if pairs < 1:
        raise InputError(f"pairs is {pairs}; allowed: 1 or more")
    rows = torch.from_numpy(numpy_generator(seed, "pairs").permutation(len(old))[:pairs])
    mapped: Tensor = F.normalize(old.float()) @ MAPS[kind](old[rows], new[rows])
    return mapped
