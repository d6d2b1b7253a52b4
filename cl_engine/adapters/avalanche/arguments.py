"""The arguments of a strategy of Avalanche, checked against its signature."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import typing
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from cl_engine.adapters.avalanche.known import SUPPORTED, UNSUPPORTED
from cl_engine.adapters.avalanche.needed import AvalancheError, need_avalanche
from cl_engine.kinds.problems import Problem, Problems, did_you_mean
from cl_engine.kinds.validation import validate

# What the scenario decides by its own keys, or what nobody is to decide.
OURS = {
    *("self", "kwargs", "base_kwargs", "model", "optimizer", "criterion", "train_mb_size", "train_epochs"),
    *("eval_mb_size", "device", "plugins", "evaluator", "eval_every", "peval_mode", "verbose"),
}
MemSize = Annotated[
    int | None, Field(ge=1, le=10**9, description="exemplars in all; null: what the budget leaves, 200 without one")
]


def strategy_class(name: str) -> Any:
    """Return the class of Avalanche that ``name``, one of ``SUPPORTED``, names; imports Avalanche."""
    module = importlib.import_module(f"avalanche.training.supervised.{SUPPORTED[name].home}")
    return getattr(module, name)


def check_name(name: str) -> None:
    """Check that there is such a strategy, that it can run, and that Avalanche can be imported.

    Raises:
        Problems: it cannot.
    """
    if name in UNSUPPORTED:
        raise Problems([Problem(("name",), f"{name} {UNSUPPORTED[name]}; allowed: {', '.join(SUPPORTED)}")])
    if name not in SUPPORTED:
        meant = did_you_mean(name, [*SUPPORTED, *UNSUPPORTED])
        what = f"Avalanche has no strategy {name!r} that runs here{meant}; allowed: {', '.join(SUPPORTED)}"
        raise Problems([Problem(("name",), what)])
    try:
        need_avalanche()
    except AvalancheError as error:
        raise Problems([Problem(("kind",), str(error))]) from None
    if name == "GEM" and importlib.util.find_spec("quadprog") is None:
        what = "GEM needs the package quadprog, which is missing; allowed: after pip install quadprog, or AGEM"
        raise Problems([Problem(("name",), what)])


def checked(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all arguments of a strategy with the defaults of Avalanche filled in.

    ``mem_size`` is None where it is not given: what the budget leaves, or 200.

    Raises:
        Problems: an argument that it does not have, or a value of another type.
    """
    known = SUPPORTED[name]
    function = strategy_class(name).__init__
    parameters = inspect.signature(function).parameters
    hints = typing.get_type_hints(function)
    own = [parameter for key, parameter in parameters.items() if key not in OURS | known.filled]

    def arguments(**_: Any) -> None:
        """Stand for the strategy where options are read from signatures."""

    arguments.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            parameter.replace(
                kind=inspect.Parameter.KEYWORD_ONLY,
                default=None if parameter.name == "mem_size" else parameter.default,
            )
            for parameter in own
        ]
    )
    arguments.__annotations__ = {
        parameter.name: MemSize if parameter.name == "mem_size" else _type_of(parameter, hints) for parameter in own
    }
    return validate(arguments, given)


def _type_of(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Any:
    """Return the type of an argument: its annotation, or the type of its default."""
    if isinstance(parameter.default, float):
        return float  # a temperature is annotated as an integer
    if parameter.name in hints:
        return hints[parameter.name]
    return Any if parameter.default in (None, inspect.Parameter.empty) else type(parameter.default)
