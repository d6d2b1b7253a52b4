"""Options that make a shipped strategy small enough for tiny streams."""

from cl_engine.kinds.registry import load
from cl_engine.kinds.signature import options_model


def small(kind):
    """Return a width for those that have one, as their cost grows with its cube, and few epochs of a map."""
    options = {"width": 48, "map_epochs": 1}
    return {k: v for k, v in options.items() if k in options_model(load("strategies", kind)).model_fields}
