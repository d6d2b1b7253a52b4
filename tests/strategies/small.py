"""Options that make a shipped strategy small enough for tiny streams."""

import importlib.util

import pytest

from cl_engine.kinds.registry import kinds, load
from cl_engine.kinds.signature import options_model

NEEDS_EXTRA = {"avalanche"}  # kinds of the package of this name, which is no dependency


def small(kind):
    """Return a width for those that have one, as their cost grows with its cube, and few epochs of a map."""
    options = {"width": 48, "map_epochs": 1}
    return {k: v for k, v in options.items() if k in options_model(load("strategies", kind)).model_fields}


def every_kind(*more):
    """Return every kind as a parameter, with what ``more`` makes of it; one without its extra is skipped."""
    return [
        pytest.param(kind, *(made(kind) for made in more), marks=_marks(kind), id=kind)
        for kind in kinds("strategies")
    ]


def _marks(kind):
    if kind not in NEEDS_EXTRA:
        return ()
    there = importlib.util.find_spec(kind) is not None
    return getattr(pytest.mark, kind), pytest.mark.skipif(not there, reason=f"needs the {kind} extra")
