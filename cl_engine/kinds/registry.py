"""The registered kinds of every package, and how a name becomes the thing it names.

Only the module of a kind that is asked for gets imported.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cl_engine.kinds.problems import Problem, Problems, did_you_mean, one_line

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
