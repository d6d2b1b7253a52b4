"""What scenarios that are loaded one after the other have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from cl_engine.data.samples import DataSource
from cl_engine.scenarios.plan import StreamPlan


@dataclass
class Common:
    """Parts that are made once for all scenarios that say the same about them; the cells of a sweep mostly do.

    Attributes:
        sources: data sources by what the scenario says about its data.
        plans: plans by what it says about data and stream.
    """

    sources: dict[str, DataSource] = field(default_factory=dict)
    plans: dict[str, StreamPlan] = field(default_factory=dict)
