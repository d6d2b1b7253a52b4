"""The options of a kind, as the command line lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cl_engine.kinds.problems import shown
from cl_engine.kinds.schema import allowed_here
from cl_engine.kinds.signature import options_model


class Option(NamedTuple):
    """One option as ``cl-engine list`` shows it."""

    name: str
    default: str
    allowed: str
    description: str


def options(target: Callable[..., Any]) -> list[Option]:
    """Return the options of a kind in the order of its signature."""
    model = options_model(target)
    return [
        Option(
            name,
            "required" if info.is_required() else shown(info.default),
            allowed_here(model, name),
            info.description or "",
        )
        for name, info in model.model_fields.items()
    ]
