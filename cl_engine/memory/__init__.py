"""Memory: what a strategy holds (ledger), what it may hold (budget), and exemplars chosen to fit.

The names below are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cl_engine.memory.beside import Beside
    from cl_engine.memory.exemplars import Column, Exemplars, Limits, class_means, herding, nearest_to_mean

_HOMES = {
    "Beside": "cl_engine.memory.beside",
    "Column": "cl_engine.memory.exemplars",
    "Exemplars": "cl_engine.memory.exemplars",
    "Limits": "cl_engine.memory.exemplars",
    "class_means": "cl_engine.memory.exemplars",
    "herding": "cl_engine.memory.exemplars",
    "nearest_to_mean": "cl_engine.memory.exemplars",
}
__all__ = ["Beside", "Column", "Exemplars", "Limits", "class_means", "herding", "nearest_to_mean"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cl_engine.memory' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
