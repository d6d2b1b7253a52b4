"""Options are keyword arguments: names, types, bounds, defaults and descriptions are read from a signature."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
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


class Further:
    """Annotation of ``**options`` that may have any name; ``complete_options`` of the kind checks them."""


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
        extra="allow" if _takes_further(target) else "forbid",
        strict=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )
    model: type[BaseModel] = create_model(getattr(target, "__name__", "options"), __config__=config, **fields)
    return model


def _takes_further(target: Callable[..., Any]) -> bool:
    """Tell whether a class takes options of other names, and checks them itself."""
    function = target.__init__ if inspect.isclass(target) else None
    hints = typing.get_type_hints(function, include_extras=True) if inspect.isfunction(function) else {}
    return any(isinstance(mark, Further) for hint in hints.values() for mark in getattr(hint, "__metadata__", ()))


def _fields(target: Callable[..., Any]) -> dict[str, Any]:
    """Return type and default of every keyword argument, by name."""
    if inspect.isclass(target):
        return _fields_of_class(target.__mro__)
    return _keywords(inspect.signature(target), typing.get_type_hints(target, include_extras=True))


def _fields_of_class(line: Sequence[type]) -> dict[str, Any]:
    """Return the fields of the first ``__init__`` in a line of classes.

    One that hands options on, ``**options: Unpack[Names]`` of a TypedDict, has those of the next ``__init__`` under
    these names too.  What both know stands where the class above has it, what is new follows.
    """
    place = next(place for place, found in enumerate(line) if "__init__" in vars(found))
    function = vars(line[place])["__init__"]
    signature, hints = inspect.signature(function), typing.get_type_hints(function, include_extras=True)
    own = _keywords(signature, hints, after_self=True)
    names = {
        name
        for parameter in signature.parameters.values()
        if parameter.kind is parameter.VAR_KEYWORD
        for name in _unpacked(hints.get(parameter.name))
    }
    above = _fields_of_class(line[place + 1 :]) if names else {}
    return {**{name: field for name, field in above.items() if name in names or name in own}, **own}


def _keywords(signature: inspect.Signature, hints: Mapping[str, Any], after_self: bool = False) -> dict[str, Any]:
    """Return the fields of keyword arguments; of a method, ``after_self``, positional ones may be given so too."""
    return {
        parameter.name: (
            hints.get(parameter.name, Any),
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for index, parameter in enumerate(signature.parameters.values())
        if parameter.kind is parameter.KEYWORD_ONLY
        or (after_self and index > 0 and parameter.kind is parameter.POSITIONAL_OR_KEYWORD)
    }


def _unpacked(hint: Any) -> Collection[str]:
    """Return the keys of ``Unpack[TypedDict]``; none of another annotation."""
    return next((typing.get_type_hints(a) for a in typing.get_args(hint) if typing.is_typeddict(a)), {})


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
