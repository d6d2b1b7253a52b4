"""Recipes: how a publication configures and trains its method, under a name; a scenario says where it departs."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from cl_engine.config.document import Document, read
from cl_engine.kinds.problems import Problem, Problems, Where, did_you_mean, shown
from cl_engine.kinds.validation import resolve, validate
from cl_engine.scenarios.shipped import RECIPES, shipped
from cl_engine.terms.training import Training


def with_recipe(document: Document) -> Document:
    """Return a scenario with what it leaves to its ``recipe``; the scenario itself where it names none.

    Mappings are filled in key by key, at every depth: what the scenario says stands, and a part of another kind
    stands as it is.

    Raises:
        Problems: there is no such recipe.
    """
    name = document.tree.get("recipe")
    if name is None:
        return document
    if not isinstance(name, str) or name not in shipped(RECIPES):
        what = f"there is no recipe {shown(name)}{did_you_mean(str(name), shipped(RECIPES))}"
        raise Problems([Problem(("recipe",), f"{what}; allowed: {', '.join(shipped(RECIPES))}")])
    recipe = _read(name)
    places, key_places = (
        {**{where: place for where, place in of_recipe.items() if not _says(document.tree, where)}, **own}
        for of_recipe, own in ((recipe.places, document.places), (recipe.key_places, document.key_places))
    )
    return Document(_filled(document.tree, recipe.tree), document.origin, places, key_places)


def departures(name: str, config: Mapping[str, Any]) -> list[str]:
    """Return the dotted keys of a resolved scenario whose values are not those of its recipe.

    >>> departures("memo", {"strategy": {"kind": "ncm"}, "training": None})
    ['strategy', 'training']
    """
    recipe = _read(name).tree
    resolved = {
        "strategy": resolve("strategies", recipe["strategy"]),
        "training": validate(Training, recipe["training"]),
    }
    return [*_differing(resolved, {key: config[key] for key in resolved}, "")]


@functools.cache
def _read(name: str) -> Document:
    return read(RECIPES / f"{name}.yaml")


def _filled(own: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, Any]:
    filled = {**recipe, **own}
    for key, value in recipe.items():
        said = own.get(key)
        said = {"kind": said} if isinstance(said, str) and isinstance(value, Mapping) else said
        if isinstance(said, Mapping) and isinstance(value, Mapping) and _of_one_kind(said, value):
            filled[key] = _filled(said, value)
    return filled


def _says(own: Any, where: Where) -> bool:
    """Tell whether a scenario has something at a place itself, so that a fault there is no fault of the recipe."""
    for key in where:
        if not isinstance(own, Mapping) or key not in own:
            return False
        own = own[key]
    return True


def _of_one_kind(own: Mapping[str, Any], recipe: Mapping[str, Any]) -> bool:
    return bool(own.get("kind", recipe.get("kind")) == recipe.get("kind"))


def _differing(recipe: Mapping[str, Any], config: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key in {**recipe, **config}:
        value, own = recipe.get(key), config.get(key)
        if isinstance(own, Mapping) and isinstance(value, Mapping) and _of_one_kind(own, value):
            yield from _differing(value, own, f"{prefix}{key}.")
        elif own != value:
            yield prefix + key
