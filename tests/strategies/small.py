"""Options that make a shipped strategy small enough for tiny streams."""

from cl_engine.kinds.registry import load
from cl_engine.kinds.signature import options_model


def small(kind):
    """Return a width for those that have one: their cost grows with its cube."""
    return {"width": 48} if "width" in options_model(load("strategies", kind)).model_fields else {}
