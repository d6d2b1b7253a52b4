"""From what a user wrote to complete options: every default filled in, every problem named once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from cl_engine.kinds.problems import Problem, Problems, Where, did_you_mean, shown
from cl_engine.kinds.registry import check, in_full, kinds, load, shared, spelled
from cl_engine.kinds.schema import allowed_here, choices_here
from cl_engine.kinds.signature import ExistingFile, Located, Part, Section, aliases, options_model


def resolve(package: str, value: object, folder: Path | None = None) -> dict[str, Any]:
    """Return ``{"kind": ..., every option}`` for a name or a ``{kind, options...}`` mapping, validated.

    A kind whose options follow from a file too has a ``complete_options(options, folder)`` that looks them up.

    Raises:
        Problems: paths are relative to ``value``.
    """
    if isinstance(value, str):
        value = in_full(package, value)
    if not isinstance(value, Mapping):
        raise Problems([Problem((), f"got {shown(value)}; allowed: the name of a kind, or {{kind: name, ...}}")])
    kind = value.get("kind")
    options = {k: v for k, v in value.items() if k != "kind"}
    if callable(kind):  # from Python, a kind may be the thing itself
        check(package, kind, spelled(package, kind))
        return {"kind": spelled(package, kind), **validate(kind, options, folder, shared(package))}
    if not isinstance(kind, str):
        what = "missing" if kind is None else f"got {shown(kind)}"
        where: Where = ("kind",) if "kind" in value else ()
        names = ", ".join(kinds(package))
        raise Problems([Problem(where, f"{'kind ' if not where else ''}{what}; allowed: {names}")])
    target = load(package, kind, folder)
    options = validate(target, options, folder, shared(package))
    complete = getattr(target, "complete_options", None)
    return {"kind": kind, **(complete(options, folder) if complete else options)}


def validate(
    target: Callable[..., Any],
    options: Mapping[str, Any],
    folder: Path | None = None,
    also: Callable[..., Any] | None = None,
) -> dict[str, Any]:
    """Return all options of ``target`` (and of ``also``), defaults filled in, after checking ``options``.

    Raises:
        Problems: unknown, missing or wrong options, each once, under the names they were given.
    """
    model = options_model(target, also)
    given_as = {name: alias for alias, name in aliases(model).items() if alias in options}
    if twice := [name for name in given_as if name in options]:
        what = "is another name of {!r}, which is given too; allowed: one of them"
        raise Problems(Problem((given_as[name],), what.format(name), at_key=True) for name in twice)
    own_names = {alias: name for name, alias in given_as.items()}
    try:
        return _validated(model, {own_names.get(key, key): value for key, value in options.items()}, folder)
    except Problems as error:
        renamed = (
            p._replace(where=(given_as.get(str(p.where[0]), p.where[0]), *p.where[1:])) if p.where else p
            for p in error.problems
        )
        raise Problems(renamed) from None


def _validated(model: type[BaseModel], options: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
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
                for p in nested.problems:  # several may have one place: options that are missing have their part's
                    if not p.where and (name,) in problems:
                        continue  # no part at all, which is said already
                    where, own = (name, *p.where), (name, *p.where, p.what)
                    problems[own] = Problem(where, p.what, p.at_key)
        located = next((m for m in info.metadata if isinstance(m, Located)), None)
        if located and values.get(name) == "":
            problems[(name,)] = Problem((name,), "got ''; allowed: a path")  # which would be the scenario's folder
        elif located and values.get(name) is not None:
            path = (folder or Path()) / Path(values[name]).expanduser()
            if not path.exists() and Path(values[name]).exists():
                path = Path(values[name])  # as typed on the command line
            values[name] = str(path.resolve())
            if isinstance(located, ExistingFile) and (missing := _missing(path, located)):
                problems[(name,)] = Problem((name,), missing)
    if problems:
        raise Problems(problems.values())
    return values


def _missing(path: Path, wanted: ExistingFile) -> str | None:
    """Say that there is no such file (or folder), if there is none."""
    if path.exists() if wanted.or_folder else path.is_file():
        return None
    what = "file or folder" if wanted.or_folder else "file"
    return f"there is no {what} {str(path)!r}; allowed: a {what} that exists"


def _nested(marker: Part | Section, value: object, default: object, folder: Path | None) -> dict[str, Any]:
    if isinstance(marker, Part):
        if isinstance(value, Mapping) and "kind" not in value and isinstance(default, str):
            value = {"kind": default, **value}
        return resolve(marker.package, value, folder)
    if not isinstance(value, Mapping):
        raise Problems([Problem((), f"got {shown(value)}; allowed: a mapping of options")])
    return validate(marker.target, value, folder)


def _problem(model: type[BaseModel], where: Where, detail: Mapping[str, Any]) -> Problem:
    name = str(where[0]) if where else ""
    if detail["type"] == "extra_forbidden":
        fields = ", ".join(model.model_fields) or "no option at all"
        known = [*model.model_fields, *aliases(model)]
        text = f"unknown option{did_you_mean(name, known)}; allowed: {fields}"
        return Problem(where, text, at_key=True)
    permitted = allowed_here(model, name) if name in model.model_fields else "any value"
    if detail["type"] == "missing":
        return Problem((), f"option {name!r} is missing; allowed: {permitted}")
    if detail["type"] == "value_error":
        return Problem(where, str(detail["ctx"]["error"]))
    given, meant = detail["input"], ""
    if isinstance(given, str) and name in model.model_fields:
        meant = did_you_mean(given, choices_here(model, name), alike=0.7)
    return Problem(where, f"got {shown(given)}{meant}; allowed: {permitted}")


def _misspelled(name: str, given: Iterable[str], model: type[BaseModel]) -> bool:
    unknown = [key for key in given if key not in model.model_fields]
    return any(difflib.get_close_matches(key, model.model_fields, n=1) == [name] for key in map(str, unknown))
