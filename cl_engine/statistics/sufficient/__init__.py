"""Sums over samples from which a closed-form classifier is solved, and what can be done with the sums alone."""

from __future__ import annotations

from cl_engine.statistics.sufficient.recursion import Recursion
from cl_engine.statistics.sufficient.sharded import Shard, sum_over
from cl_engine.statistics.sufficient.solving import Solution, solve
from cl_engine.statistics.sufficient.spectrum import Spectrum
from cl_engine.statistics.sufficient.sums import Sums

__all__ = ["Recursion", "Shard", "Solution", "Spectrum", "Sums", "solve", "sum_over"]
