"""Metrics: pure functions of accuracy records, and of features where galleries outlive the models that made them.

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
    task_metrics,
)
from cl_engine.metrics.compatibility import (
    average_compatibility,
    average_cross_accuracy,
    backward_compatibility,
    compatibility_metrics,
    forward_compatibility,
)

if TYPE_CHECKING:
    from cl_engine.metrics.backfill import area_under_backfill, backfill_curve
    from cl_engine.metrics.cross_tests import class_templates, compatibility_matrix, cross_test
    from cl_engine.metrics.inequalities import mean_cosines, satisfaction
    from cl_engine.metrics.mapped import mapped_gallery
    from cl_engine.metrics.nearest import search
    from cl_engine.metrics.retrieval import mean_average_precision, recall_at_k
    from cl_engine.metrics.similarity import linear_cka, unbiased_cka, unbiased_hsic
    from cl_engine.metrics.verification import verification_accuracy, verification_pairs

_HOMES = {
    "area_under_backfill": "backfill",
    "backfill_curve": "backfill",
    "mapped_gallery": "mapped",
    "class_templates": "cross_tests",
    "compatibility_matrix": "cross_tests",
    "cross_test": "cross_tests",
    "mean_cosines": "inequalities",
    "satisfaction": "inequalities",
    "linear_cka": "similarity",
    "mean_average_precision": "retrieval",
    "recall_at_k": "retrieval",
    "search": "nearest",
    "unbiased_cka": "similarity",
    "unbiased_hsic": "similarity",
    "verification_accuracy": "verification",
    "verification_pairs": "verification",
}

__all__ = [
    "DESCRIPTIONS",
    "all_metrics",
    "anytime_accuracy",
    "area_under_backfill",
    "area_under_curve",
    "average_accuracy",
    "average_compatibility",
    "average_cross_accuracy",
    "average_group_accuracy",
    "backfill_curve",
    "backward_compatibility",
    "backward_transfer",
    "class_metrics",
    "class_templates",
    "compatibility_matrix",
    "compatibility_metrics",
    "cross_test",
    "forgetting",
    "forward_compatibility",
    "last_accuracy",
    "learning_accuracy",
    "linear_cka",
    "mapped_gallery",
    "mean_average_precision",
    "mean_cosines",
    "recall_at_k",
    "satisfaction",
    "search",
    "task_metrics",
    "unbiased_cka",
    "unbiased_hsic",
    "verification_accuracy",
    "verification_pairs",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"cl_engine.metrics.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'cl_engine.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
