"""Options are keyword arguments: names, types, bounds, defaults and descriptions are read from a signature."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, create_model


class Part(NamedTuple):
    """Annotation of an option that itself names a kind: ``Annotated[str | dict[str, Any], Part("backbones")]``."""

    package: str


class Section(NamedTuple):
    """Annotation of an option that is itself a mapping, with the options of ``target``."""

    target: Callable[..., Any]


class Alias(NamedTuple):
    """Annotation of an option that may also be given under ``name`` and resolves to the option's own name."""

    name: str


class Located:
    """Annotation of an option that is a path, relative to the scenario file (or else to here), or null."""


class ExistingFile(Located):
    """Annotation of an option that is the path of a file that exists, or null.

    Args:
        or_folder: whether it may be a folder.
    """

    def __init__(self, or_folder: bool = False) -> None:
        self.or_folder = or_folder


@functools.cache
def options_model(target: Callable[..., Any], also: Callable[..., Any] | None = None) -> type[BaseModel]:
    """Return the pydantic model of the keyword arguments of ``target``, and of those of ``also``."""
    own = _fields(target)
    fields = {**own, **{name: f for name, f in (_fields(also) if also else {}).items() if name not in own}}
    config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True, protected_namespaces=()
    )
    model: type[BaseModel] = create_model(getattr(target, "__name__", "options"), __config__=config, **fields)
    return model


def _fields(target: Callable[..., Any]) -> dict[str, Any]:
    function = target.__init__ if inspect.isclass(target) else target
    hints = typing.get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for index, parameter in enumerate(inspect.signature(function).parameters.values()):
        if parameter.kind is parameter.KEYWORD_ONLY or (
            inspect.isclass(target) and index > 0 and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ):
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (hints.get(parameter.name, Any), default)
    return fields


def aliases(model: type[BaseModel]) -> dict[str, str]:
    """Return the other names of the options of ``model``: from alias to the option's own name."""
    return {
        marker.name: name
        for name, info in model.model_fields.items()
        for marker in info.metadata
        if isinstance(marker, Alias)
    }


def describe(target: Callable[..., Any]) -> str:
    """Return the one-line description of a kind: the first line of its docstring."""
    return (inspect.getdoc(target) or "").partition("\n")[0]
