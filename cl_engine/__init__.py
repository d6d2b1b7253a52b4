"""cl-engine: run a continual-learning strategy over a simulated stream; get accuracy and every byte kept.

The names below are imported on first use, so that ``import cl_engine`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cl_engine.moved import install

if TYPE_CHECKING:
    from cl_engine.config.scenario import ConfigError, Scenario
    from cl_engine.data.samples import DataSet, Samples
    from cl_engine.engine import MemoryContractError, run
    from cl_engine.reports.page.figures import plot
    from cl_engine.reports.results import load_results
    from cl_engine.running.loading import load
    from cl_engine.running.record import RunRecord
    from cl_engine.strategies.strategy import Strategy
    from cl_engine.sweeping.python import sweep
    from cl_engine.terms.task import Task

_HOMES = {
    "run": "cl_engine.engine",
    "sweep": "cl_engine.sweeping.python",
    "load": "cl_engine.running.loading",
    "load_results": "cl_engine.reports.results",
    "plot": "cl_engine.reports.page.figures",
    "MemoryContractError": "cl_engine.engine",
    "RunRecord": "cl_engine.running.record",
    "Scenario": "cl_engine.config.scenario",
    "ConfigError": "cl_engine.config.scenario",
    "Strategy": "cl_engine.strategies.strategy",
    "Task": "cl_engine.terms.task",
    "DataSet": "cl_engine.data.samples",
    "Samples": "cl_engine.data.samples",
}

__all__ = [
    "ConfigError",
    "DataSet",
    "MemoryContractError",
    "RunRecord",
    "Samples",
    "Scenario",
    "Strategy",
    "Task",
    "load",
    "load_results",
    "plot",
    "run",
    "sweep",
]
__version__ = "0.1.0"

install()  # names of version 0.1 go on working


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cl_engine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
