"""A module as it was: the teacher of distillation."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def frozen_copy(module: Module) -> Module:
    """Return a copy of ``module`` in evaluation mode whose parameters take no gradient.

    Batch-norm layers use their running statistics, which do not move.

    >>> teacher = frozen_copy(nn.Linear(2, 3))
    >>> teacher.training, teacher.weight.requires_grad
    (False, False)
    """
    return copy.deepcopy(module).requires_grad_(False).eval()
