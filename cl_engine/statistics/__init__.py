"""What runs over several seeds can say, and no more.

The seed is the unit of replication, never the experience, the class or the budget.  Values arrive by name,
``{strategy: {seed: value}}``, so that no axis can be mistaken; a missing value is absent and lowers n.  Results are
plain data without formatting.

Sums over samples, from which classifiers are solved, are another matter: :mod:`cl_engine.statistics.sufficient`.
"""

from __future__ import annotations

from cl_engine.statistics.across import between_references, interquartile_mean, scenario_means
from cl_engine.statistics.curves import Areas, Crossing, Piece, areas, crossing
from cl_engine.statistics.holm import holm
from cl_engine.statistics.intervals import Estimate, bootstrap_interval, sampling_error, t_interval
from cl_engine.statistics.paired import Difference, paired_difference, sign_flip
from cl_engine.statistics.pareto import Point, pareto
from cl_engine.statistics.power import SeedsNeeded, power, seeds_needed, smallest_effect, strength, upper_sd
from cl_engine.statistics.ranks import Rank, pairwise, ranks

__all__ = [
    "Areas",
    "Crossing",
    "Difference",
    "Estimate",
    "Piece",
    "Point",
    "Rank",
    "SeedsNeeded",
    "areas",
    "between_references",
    "bootstrap_interval",
    "crossing",
    "holm",
    "interquartile_mean",
    "paired_difference",
    "pairwise",
    "pareto",
    "power",
    "ranks",
    "sampling_error",
    "scenario_means",
    "seeds_needed",
    "sign_flip",
    "smallest_effect",
    "strength",
    "t_interval",
    "upper_sd",
]
