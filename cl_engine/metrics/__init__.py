"""Metrics: pure functions of accuracy records, and of features.

Accuracies are fractions; a metric that is undefined is None, never 0.  What works on features is imported on first
use, so that the others need no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cl_engine.metrics.accuracy import (
    DESCRIPTIONS,
    all_metrics,
    anytime_accuracy,
    area_under_curve,
    average_accuracy,
    average_group_accuracy,
    backward_transfer,
    class_metrics,
    forgetting,
    last_accuracy,
    learning_accuracy,
)

if TYPE_CHECKING:
    from cl_engine.metrics.similarity import linear_cka, unbiased_cka, unbiased_hsic

_HOMES = {
    "linear_cka": "similarity",
    "unbiased_cka": "similarity",
    "unbiased_hsic": "similarity",
}

__all__ = [
    "DESCRIPTIONS",
    "all_metrics",
    "anytime_accuracy",
    "area_under_curve",
    "average_accuracy",
    "average_group_accuracy",
    "backward_transfer",
    "class_metrics",
    "forgetting",
    "last_accuracy",
    "learning_accuracy",
    "linear_cka",
    "unbiased_cka",
    "unbiased_hsic",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"cl_engine.metrics.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'cl_engine.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
