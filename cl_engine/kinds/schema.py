"""JSON Schema of options, and what a schema allows in words."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cl_engine.kinds.registry import kinds, load, shared
from cl_engine.kinds.signature import Part, Section, aliases, describe, options_model


def schema(
    target: Callable[..., Any], kind: str | None = None, also: Callable[..., Any] | None = None
) -> dict[str, Any]:
    """Return the JSON Schema of a kind's mapping, ``kind`` itself and the options of ``also`` included if given.

    An option that names a kind refers to ``#/$defs/PACKAGE``, which :func:`package_schema` describes.
    """
    model = options_model(target, also)
    other_names = aliases(model)
    properties = {name: _field_schema(model, name) for name in model.model_fields}
    required = [name for name, info in model.model_fields.items() if info.is_required()]
    either: list[dict[str, Any]] = []
    for alias, name in other_names.items():
        properties[alias] = {**properties[name], "description": f"another name of `{name}`"}
        if name in required:
            required.remove(name)
            either.append({"oneOf": [{"required": [name]}, {"required": [alias]}]})
        else:
            either.append({"not": {"required": [name, alias]}})
    if kind is not None:
        properties = {"kind": {"const": kind, "description": describe(target)}, **properties}
        required = ["kind", *required]
    further = model.model_config.get("extra") == "allow"
    built: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": further}
    return {**built, **({"required": required} if required else {}), **({"allOf": either} if either else {})}


def package_schema(package: str) -> dict[str, Any]:
    """Return the JSON Schema of a key that takes any kind of ``package``, by name or as a mapping.

    The kind decides which options apply, so that what is wrong with one option of a known kind is that one error,
    where a choice among all kinds would have every one of them fail.
    """
    registered = kinds(package)
    targets = {kind: load(package, kind) for kind in registered}
    complete = [kind for kind, target in targets.items() if not schema(target).get("required")]
    own = {"type": "string", "pattern": ":", "description": "package.module:Name of your own"}
    named = {"properties": {"kind": {"anyOf": [{"enum": [*registered]}, own]}}, "required": ["kind"]}
    return {
        "type": ["string", "object"],
        "allOf": [
            {"if": {"type": "string"}, "then": {"anyOf": [{"enum": complete}, own]}},
            {"if": {"type": "object"}, "then": named},
            *(
                {
                    "if": {"type": "object", "properties": {"kind": {"const": kind}}, "required": ["kind"]},
                    "then": schema(target, kind, shared(package)),
                }
                for kind, target in targets.items()
            ),
        ],
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


def allowed_here(model: type[BaseModel], name: str) -> str:
    """Say in words what the option ``name`` of ``model`` allows."""
    part = part_of(model, name)
    if isinstance(part, Part):
        return f"{', '.join(kinds(part.package))} or package.module:Name"
    if isinstance(part, Section):
        return "a mapping" if model.model_fields[name].default is not None else "a mapping or null"
    return allowed(_field_schema(model, name))


def choices_here(model: type[BaseModel], name: str) -> list[str]:
    """Return the words that the option ``name`` of ``model`` may be; none where it is no choice among words."""
    return _words(_field_schema(model, name))


def _words(schema: Mapping[str, Any]) -> list[str]:
    branches = [word for branch in schema.get("anyOf", ()) for word in _words(branch)]
    return branches + [value for value in [*schema.get("enum", ()), schema.get("const")] if isinstance(value, str)]


def part_of(model: type[BaseModel], name: str) -> Part | Section | None:
    """Return what marks the option ``name`` of ``model`` as a kind or a mapping of its own, if it is one."""
    return next((m for m in model.model_fields[name].metadata if isinstance(m, Part | Section)), None)


@functools.cache
def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    try:
        return model.model_json_schema()
    except Exception:  # a user's option may have a type that JSON Schema does not know
        return {}


def _field_schema(model: type[BaseModel], name: str) -> dict[str, Any]:
    info: FieldInfo = model.model_fields[name]
    part = part_of(model, name)
    if part:
        found = _part_schema(part, info.default) if isinstance(part, Part) else schema(part.target)
        if info.default is None:
            found = {"if": {"type": "null"}, "else": found}
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


def _part_schema(part: Part, default: object) -> dict[str, Any]:
    """Refer to the package's schema; a mapping without a kind has the options of the default one, if any."""
    any_kind = {"$ref": f"#/$defs/{part.package}"}
    if not isinstance(default, str):
        return any_kind
    options = schema(load(part.package, default), also=shared(part.package))
    return {"if": {"type": "object", "not": {"required": ["kind"]}}, "then": options, "else": any_kind}
