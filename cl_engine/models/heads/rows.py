"""New rows of a head."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def new_rows(old: int, classes: int, features: int, columns: int, generator: torch.Generator) -> Tensor:
    """Return rows for the classes from ``old`` on, ``[classes - old, columns]``, drawn for so many features."""
    check_growth("classes", old, classes)
    return uniform((classes - old, columns), features, generator)


def uniform(shape: tuple[int, ...], features: int, generator: torch.Generator) -> Tensor:
    """Draw uniformly from +-1/sqrt(features)."""
    bound = 1 / math.sqrt(features)
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def check_growth(what: str, present: int, wanted: int) -> None:
    """Raise ValueError where there are more already."""
    if wanted < present:
        raise ValueError(f"a head with {present} {what} cannot have {wanted}; allowed: {present} or more")
