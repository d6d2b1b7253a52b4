"""Classifiers over the classes seen so far; in the ledger they are of kind ``head``.

Each has ``grow``, which makes room for new classes, and maps features ``[B, D]`` to scores ``[B, classes]``.
"""

from cl_engine.models.heads.cosine import CosineHead, ProxyHead
from cl_engine.models.heads.fixed import SimplexHead
from cl_engine.models.heads.linear import Head, UnbiasedHead
from cl_engine.models.heads.nested import NestedHead

__all__ = ["CosineHead", "Head", "NestedHead", "ProxyHead", "SimplexHead", "UnbiasedHead"]
