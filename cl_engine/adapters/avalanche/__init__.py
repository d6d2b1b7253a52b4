"""Avalanche: our streams for its strategies, its benchmarks as our data, each side's strategies on the other.

The names below are imported on first use, as importing Avalanche takes seconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cl_engine.adapters.avalanche.benchmark import to_benchmark
    from cl_engine.adapters.avalanche.data import from_benchmark
    from cl_engine.adapters.avalanche.wrapped import EngineStrategy

_HOMES = {
    "EngineStrategy": "cl_engine.adapters.avalanche.wrapped",
    "from_benchmark": "cl_engine.adapters.avalanche.data",
    "to_benchmark": "cl_engine.adapters.avalanche.benchmark",
}

__all__ = ["EngineStrategy", "from_benchmark", "to_benchmark"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cl_engine.adapters.avalanche' has no attribute {name!r}")
