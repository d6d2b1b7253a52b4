"""JSON Schema of options, and what a schema allows in words."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cl_engine.kinds.registry import kinds, load, shared
from cl_engine.kinds.signature import Part, Section, describe, options_model


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


def allowed_here(model: type[BaseModel], name: str) -> str:
    """Say in words what the option ``name`` of ``model`` allows."""
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
