"""Exemplars: which samples are kept for rehearsal, within slots, quotas and bytes."""

from cl_engine.memory.exemplars.class_means import class_means
from cl_engine.memory.exemplars.encoded import Column
from cl_engine.memory.exemplars.exemplars import Exemplars, Selection
from cl_engine.memory.exemplars.quota import Limits, Quota
from cl_engine.memory.exemplars.selection import herding, nearest_to_mean

__all__ = ["Column", "Exemplars", "Limits", "Quota", "Selection", "class_means", "herding", "nearest_to_mean"]
