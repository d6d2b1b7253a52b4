"""Kinds and their options.

A scenario names its parts by ``kind``: a data source, a stream family, a strategy, a backbone.  A kind is a
Python callable, and **its options are its keyword arguments**: names, types, bounds, defaults and descriptions
are read from the signature.  That one declaration serves validation, ``cl-engine list``, ``cl-engine schema``
and the person who calls it from Python.

Only the module of a kind that is asked for gets imported.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo

PACKAGES = {
    "data": "cl_engine.data",
    "streams": "cl_engine.scenarios",
    "strategies": "cl_engine.strategies",
    "backbones": "cl_engine.models",
    "codecs": "cl_engine.memory.codecs",
}
SHARED = {"streams": "cl_engine.scenarios.every:every_stream"}  # its options belong to every kind of the package
BASES = {  # what a user's own kind must be a subclass of
    "strategies": "cl_engine.strategies.strategy:Strategy",
    "backbones": "cl_engine.models.backbone:Backbone",
    "codecs": "cl_engine.memory.codecs.codec:Codec",
}
SINGULAR = {
    "data": "data source",
    "streams": "stream",
    "strategies": "strategy",
    "backbones": "backbone",
    "codecs": "codec",
}

Where = tuple[str | int, ...]


class OptionError(ValueError):
    """One option has a value that cannot work, as ``OptionError(option, what is wrong; what is allowed)``."""

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{option}: {problem}")
        self.option, self.problem = option, problem


class Problem(NamedTuple):
    """One thing that is wrong with a configuration: the path of its key, what is wrong, what is allowed."""

    where: Where
    what: str
    at_key: bool = False  # the key itself is wrong, not its value


class Problems(Exception):
    """Everything that is wrong with a configuration."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(f"{'.'.join(map(str, p.where))}: {p.what}" for p in self.problems))


class Part(NamedTuple):
    """Annotation of an option that itself names a kind: ``Annotated[str | dict[str, Any], Part("backbones")]``."""

    package: str


class Section(NamedTuple):
    """Annotation of an option that is itself a mapping, with the options of ``target``."""

    target: Callable[..., Any]


class ExistingFile:
    """Annotation of an option that is the path of a file, relative to the scenario file (or else to here)."""


def kinds(package: str) -> dict[str, str]:
    """Return the registered kinds of a package (a key of ``PACKAGES``), by name."""
    found: dict[str, str] = importlib.import_module(PACKAGES[package]).KINDS
    return found


def load(package: str, kind: str, folder: Path | None = None) -> Callable[..., Any]:
    """Return the callable that ``kind`` names: a registered name, or ``package.module:Name`` of the user's own.

    A user's module is looked up in ``folder`` (that of the scenario file) and among the installed packages.

    Raises:
        Problems: no such kind, its module cannot be imported, or it is something else.
    """
    registered = kinds(package)
    path = registered.get(kind, kind)
    if ":" not in path:
        what = f"there is no {SINGULAR[package]} {kind!r}{did_you_mean(kind, registered)}"
        raise Problems([Problem(("kind",), f"{what}; allowed: {', '.join(registered)}, or package.module:Name")])
    module_name, _, name = path.partition(":")
    if folder is not None and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may fail in any way while it is imported
        what = f"cannot import {module_name!r}: {type(error).__name__}: {one_line(error)}"
        raise Problems([Problem(("kind",), what)]) from error
    target = getattr(module, name, None)
    if not callable(target):
        offered = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        what = f"module {module_name!r} has no class or function {name!r}{did_you_mean(name, offered)}"
        raise Problems([Problem(("kind",), what)])
    if kind not in registered and package in BASES:
        base_module, _, base = BASES[package].partition(":")
        expected = getattr(importlib.import_module(base_module), base)
        if not (inspect.isclass(target) and issubclass(target, expected)):
            what = f"{kind!r} is no {SINGULAR[package]}; allowed: a subclass of {base_module}.{base}"
            raise Problems([Problem(("kind",), what)])
    return typing.cast(Callable[..., Any], target)


def resolve(package: str, value: object, folder: Path | None = None) -> dict[str, Any]:
    """Return ``{"kind": ..., every option}`` for a name or a ``{kind, options...}`` mapping, validated.

    Raises:
        Problems: paths are relative to ``value``.
    """
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, Mapping):
        raise Problems([Problem((), f"got {shown(value)}; allowed: the name of a kind, or {{kind: name, ...}}")])
    kind = value.get("kind")
    options = {k: v for k, v in value.items() if k != "kind"}
    if callable(kind):  # from Python, a kind may be the thing itself
        return {"kind": spelled(package, kind), **validate(kind, options, folder, shared(package))}
    if not isinstance(kind, str):
        what = "missing" if kind is None else f"got {shown(kind)}"
        where: Where = ("kind",) if "kind" in value else ()
        names = ", ".join(kinds(package))
        raise Problems([Problem(where, f"{'kind ' if not where else ''}{what}; allowed: {names}")])
    return {"kind": kind, **validate(load(package, kind, folder), options, folder, shared(package))}


def shared(package: str) -> Callable[..., Any] | None:
    """Return the callable whose options every kind of ``package`` takes as well, if there is one."""
    if package not in SHARED:
        return None
    module, _, name = SHARED[package].partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def spelled(package: str, target: Callable[..., Any]) -> str:
    """Return the name of the kind that ``target`` is, or ``module:Name`` where it is not registered."""
    path = f"{target.__module__}:{target.__qualname__}"
    return next((kind for kind, registered in kinds(package).items() if registered == path), path)


def validate(
    target: Callable[..., Any],
    options: Mapping[str, Any],
    folder: Path | None = None,
    also: Callable[..., Any] | None = None,
) -> dict[str, Any]:
    """Return all options of ``target`` (and of ``also``), defaults filled in, after checking ``options``.

    Raises:
        Problems: unknown, missing or wrong options, each once.
    """
    model = options_model(target, also)
    problems: dict[Where, Problem] = {}
    values: dict[str, Any] = {}
    try:
        values = dict(model.model_validate(dict(options)))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["type"] == "missing" and _misspelled(str(detail["loc"][0]), options, model):
                continue  # the unknown option that was meant says it already
            where = detail["loc"][:1]  # a union reports each of its branches: one line per option is enough
            problems.setdefault(where, _problem(model, where, detail))
    for name, info in model.model_fields.items():
        nested_in = next((m for m in info.metadata if isinstance(m, Part | Section)), None)
        given = options.get(name, info.default)
        optional = given is None and info.default is None
        if nested_in and not optional and (name in options or not info.is_required()):
            try:
                values[name] = _nested(nested_in, given, info.default, folder)
            except Problems as nested:
                for p in nested.problems:
                    where = (name, *p.where)
                    problems[where] = Problem(where, p.what, p.at_key)
        if any(isinstance(m, ExistingFile) for m in info.metadata) and name in values:
            path = (folder or Path()) / Path(values[name]).expanduser()
            if not path.is_file() and Path(values[name]).is_file():
                path = Path(values[name])  # as typed on the command line
            values[name] = str(path.resolve())
            if not path.is_file():
                problems[(name,)] = Problem((name,), f"there is no file {str(path)!r}; allowed: a file that exists")
    if problems:
        raise Problems(problems.values())
    return values


def _nested(marker: Part | Section, value: object, default: object, folder: Path | None) -> dict[str, Any]:
    if isinstance(marker, Part):
        if isinstance(value, Mapping) and "kind" not in value and isinstance(default, str):
            value = {"kind": default, **value}
        return resolve(marker.package, value, folder)
    if not isinstance(value, Mapping):
        raise Problems([Problem((), f"got {shown(value)}; allowed: a mapping of options")])
    return validate(marker.target, value, folder)


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


def describe(target: Callable[..., Any]) -> str:
    """Return the one-line description of a kind: the first line of its docstring."""
    return (inspect.getdoc(target) or "").partition("\n")[0]


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
            _allowed_here(model, name),
            info.description or "",
        )
        for name, info in model.model_fields.items()
    ]


def schema(
    target: Callable[..., Any], kind: str | None = None, also: Callable[..., Any] | None = None
) -> dict[str, Any]:
    """Return the JSON Schema of a kind's mapping, ``kind`` itself and the options of ``also`` included if given."""
    model = options_model(target, also)
    properties = {name: _field_schema(model, name) for name in model.model_fields}
    required = [name for name, info in model.model_fields.items() if info.is_required()]
    if kind is not None:
        properties = {"kind": {"const": kind, "description": describe(target)}, **properties}
        required = ["kind", *required]
    built: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**built, "required": required} if required else built


def package_schema(package: str) -> dict[str, Any]:
    """Return the JSON Schema of a key that takes any kind of ``package``, by name or as a mapping."""
    registered = kinds(package)
    needless = [k for k in registered if not schema(load(package, k)).get("required")]
    own = {"type": "string", "pattern": ":", "description": "package.module:Name of your own"}
    return {
        "anyOf": [
            {"enum": needless},
            own,
            *(schema(load(package, k), k, shared(package)) for k in registered),
            {"type": "object", "properties": {"kind": own}, "required": ["kind"]},
        ]
    }


def allowed(schema: Mapping[str, Any]) -> str:
    """Say in words what a JSON Schema allows.

    >>> allowed({"type": "integer", "minimum": 1})
    'an integer >= 1'
    >>> allowed({"anyOf": [{"enum": ["random", "herding"]}, {"type": "null"}]})
    'random, herding or null'
    """
    *most, last = dict.fromkeys(_alternatives(schema))
    return f"{', '.join(most)} or {last}" if most else last


def _alternatives(schema: Mapping[str, Any]) -> list[str]:
    if "anyOf" in schema:
        return [words for branch in schema["anyOf"] for words in _alternatives(branch)]
    if "enum" in schema:
        return list(map(str, schema["enum"]))
    if "const" in schema:
        return [str(schema["const"])]
    kind = schema.get("type")
    if kind == "array":
        return [f"a list ({allowed(schema.get('items', {}))})"]
    words = {
        "integer": "an integer", "number": "a number", "string": "a text", "boolean": "true or false",
        "null": "null", "object": "a mapping",
    }  # fmt: skip
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema]
    return [" ".join([words.get(str(kind), "any value"), " and ".join(bounds)]).strip()]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the closest known name, or an empty text.

    >>> did_you_mean("reply", ["replay", "joint"])
    ", did you mean 'replay'?"
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def shown(value: object) -> str:
    """Return a short, one-line rendering of a value, as YAML would spell the simple ones."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def one_line(text: object) -> str:
    """Return a message on one line, with whatever a terminal would not print escaped."""
    words = " ".join(str(text).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)


def _problem(model: type[BaseModel], where: Where, detail: Mapping[str, Any]) -> Problem:
    name = str(where[0]) if where else ""
    if detail["type"] == "extra_forbidden":
        fields = ", ".join(model.model_fields) or "no option at all"
        text = f"unknown option{did_you_mean(name, model.model_fields)}; allowed: {fields}"
        return Problem(where, text, at_key=True)
    permitted = _allowed_here(model, name) if name in model.model_fields else "any value"
    if detail["type"] == "missing":
        return Problem((), f"option {name!r} is missing; allowed: {permitted}")
    if detail["type"] == "value_error":
        return Problem(where, str(detail["ctx"]["error"]))
    return Problem(where, f"got {shown(detail['input'])}; allowed: {permitted}")


def _misspelled(name: str, given: Iterable[str], model: type[BaseModel]) -> bool:
    unknown = [key for key in given if key not in model.model_fields]
    return any(difflib.get_close_matches(key, model.model_fields, n=1) == [name] for key in map(str, unknown))


def _allowed_here(model: type[BaseModel], name: str) -> str:
    part = next((m for m in model.model_fields[name].metadata if isinstance(m, Part)), None)
    if part:
        return f"{', '.join(kinds(part.package))} or package.module:Name"
    return allowed(_field_schema(model, name))


@functools.cache
def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    try:
        return model.model_json_schema()
    except Exception:  # a user's option may have a type that JSON Schema does not know
        return {}


def _field_schema(model: type[BaseModel], name: str) -> dict[str, Any]:
    info: FieldInfo = model.model_fields[name]
    part = next((m for m in info.metadata if isinstance(m, Part | Section)), None)
    if part:
        found = package_schema(part.package) if isinstance(part, Part) else schema(part.target)
        if info.default is None:
            found = {"anyOf": [found, {"type": "null"}]}
    else:
        whole = _schemas(model)
        found = dict(whole.get("properties", {}).get(name, {}))
        if "$ref" in found:
            found = dict(whole["$defs"][found["$ref"].rpartition("/")[2]])
        found.pop("title", None)
        found.pop("default", None)
    if info.description:
        found["description"] = info.description
    if not info.is_required():
        found["default"] = info.default
    return found
