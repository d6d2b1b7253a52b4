"""The registered kinds of every package, and how a name becomes the thing it names.

Only the module of a kind that is asked for gets imported.  A scenario file may name a part of the user's own, but
only one that is what it stands for.  That is checked before anything is called, so a file cannot call whatever
function happens to be installed; it can have a module imported, which runs what stands at its top level.
"""

from __future__ import annotations

import contextlib
import contextvars
import importlib
import inspect
import os
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from cl_engine.errors import EngineError, InputError
from cl_engine.kinds.elsewhere import known_as
from cl_engine.kinds.problems import Problem, Problems, did_you_mean, one_line
from cl_engine.kinds.signature import options_model

PACKAGES = {
    "data": "cl_engine.data",
    "streams": "cl_engine.scenarios",
    "strategies": "cl_engine.strategies",
    "backbones": "cl_engine.models",
    "codecs": "cl_engine.memory.codecs",
}
SHARED = {"streams": "cl_engine.scenarios.every:every_stream"}  # its options belong to every kind of the package
SHORT = {"backbones": {"torchvision": "model", "timm": "model"}}  # `timm:NAME` is {kind: timm, model: NAME}
SINGULAR = {
    "data": "data source",
    "streams": "stream",
    "strategies": "strategy",
    "backbones": "backbone",
    "codecs": "codec",
}
_imported: contextvars.ContextVar[str] = contextvars.ContextVar("_imported", default="")  # a user's module, now
FURTHER: set[str] = set()  # folders that were put on the import path for modules of users


class Contract(NamedTuple):
    """What a user's own kind of a package must be, by the path of a class, and in words."""

    path: str
    fits: Callable[[Any, type], bool]
    allowed: str


def _is_subclass(target: Any, base: type) -> bool:
    return inspect.isclass(target) and issubclass(target, base)


def _has_methods(target: Any, protocol: type) -> bool:
    methods = [name for name in vars(protocol) if not name.startswith("_")]
    return inspect.isclass(target) and all(callable(getattr(target, name, None)) for name in methods)


def _is_function_to(target: Any, result: type) -> bool:
    return inspect.isfunction(target) and typing.get_type_hints(target).get("return") is result


CONTRACTS = {
    "data": Contract(
        "cl_engine.data.samples:DataSource", _has_methods, "a class with the methods labels() and load()"
    ),
    "streams": Contract(
        "cl_engine.scenarios.plan:StreamPlan",
        _is_function_to,
        "a function annotated to return cl_engine.scenarios.plan.StreamPlan",
    ),
    "strategies": Contract(
        "cl_engine.strategies.strategy:Strategy",
        _is_subclass,
        "a subclass of cl_engine.strategies.strategy.Strategy",
    ),
    "backbones": Contract(
        "cl_engine.models.backbone:Backbone", _is_subclass, "a subclass of cl_engine.models.backbone.Backbone"
    ),
    "codecs": Contract(
        "cl_engine.memory.codecs.codec:Codec", _is_subclass, "a subclass of cl_engine.memory.codecs.codec.Codec"
    ),
}


def kinds(package: str) -> dict[str, str]:
    """Return the registered kinds of a package (a key of ``PACKAGES``), by name."""
    found: dict[str, str] = importlib.import_module(PACKAGES[package]).KINDS
    return found


def in_full(package: str, kind: str) -> dict[str, str]:
    """Return the mapping that the name of a kind is short for.

    >>> in_full("backbones", "mlp"), in_full("backbones", "timm:vit_tiny_patch16_224")
    ({'kind': 'mlp'}, {'kind': 'timm', 'model': 'vit_tiny_patch16_224'})
    """
    family, _, name = kind.partition(":")
    option = SHORT.get(package, {}).get(family)
    return {"kind": family, option: name} if option and name else {"kind": kind}


def load(package: str, kind: str, folder: Path | None = None) -> Callable[..., Any]:
    """Return the callable that ``kind`` names: a registered name, or ``package.module:Name`` of the user's own.

    A user's module is looked up among the installed packages, then in ``folder`` (that of the scenario file), then
    in the current directory; so no file beside a scenario stands in for an installed module.

    Raises:
        Problems: no such kind, its module cannot be imported, or it is something else.
    """
    registered = kinds(package)
    if kind in registered:
        return typing.cast(Callable[..., Any], _named(registered[kind]))
    module_name, _, name = kind.partition(":")
    stem = module_name.removesuffix(".py")
    beside = any(os.path.isfile(place / f"{stem}.py") for place in (folder or Path(), Path()))
    if beside and (stem != module_name or not name):
        raise _problem(f"{kind!r} names no {SINGULAR[package]}; allowed: {stem}:{name or 'Name'}, of {stem}.py")
    if ":" not in kind:
        what = f"there is no {SINGULAR[package]} {kind!r}{known_as(package, kind, registered)}"
        raise _problem(f"{what}; allowed: {', '.join(registered)}, or package.module:Name")
    module = _users_module(module_name, folder)
    target = getattr(module, name, None)
    if not callable(target):
        offered = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise _problem(f"module {module_name!r} has no class or function {name!r}{did_you_mean(name, offered)}")
    check(package, target, kind)
    return typing.cast(Callable[..., Any], target)


def check(package: str, target: Callable[..., Any], kind: str) -> None:
    """Check that ``target``, called ``kind`` by the user, is what the package's kinds must be; calls nothing.

    Raises:
        Problems: it is something else, or its options cannot be read.
    """
    contract = CONTRACTS[package]
    try:
        fits = contract.fits(target, _named(contract.path))
        if fits:
            options_model(target)
    except Exception as error:  # an annotation of the user's own may fail in any way while it is resolved
        raise _problem(
            f"the annotations of {kind!r} cannot be read: {type(error).__name__}: {one_line(error)}"
        ) from error
    if not fits:
        raise _problem(f"{kind!r} is no {SINGULAR[package]}; allowed: {contract.allowed}")


def shared(package: str) -> Callable[..., Any] | None:
    """Return the callable whose options every kind of ``package`` takes as well, if there is one."""
    return typing.cast(Callable[..., Any], _named(SHARED[package])) if package in SHARED else None


def spelled(package: str, target: Callable[..., Any]) -> str:
    """Return the name of the kind that ``target`` is, or ``module:Name`` where it is not registered."""
    path = f"{target.__module__}:{target.__qualname__}"
    return next((kind for kind, registered in kinds(package).items() if registered == path), path)


def refuse_while_importing(what: str) -> None:
    """Refuse to start what would import a module whose top level starts it, in one new process after another.

    Raises:
        InputError: a user's module is being imported.
    """
    if name := _imported.get():
        raise InputError(
            f"{what} is called while {name!r} is imported, for what it defines; allowed: in a function, or under "
            "if __name__ == '__main__':"
        )


def _users_module(name: str, folder: Path | None) -> ModuleType:
    """Import a module, with ``folder`` and the current directory last on the import path."""
    folders = [str(folder)] if folder else []
    with contextlib.suppress(OSError):  # the current directory may be gone
        folders += {os.getcwd()} - {*folders}
    further = [f for f in folders if f not in sys.path]
    sys.path.extend(further)
    FURTHER.update(further)
    importlib.invalidate_caches()  # the file may be younger than what the import system remembers
    outer = _imported.set(name)
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a user's module may fail in any way while it is imported
        if isinstance(error, EngineError):
            what = one_line(error)
        elif isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            what = f"there is no module {error.name!r} in {', '.join(folders)} or among the installed packages"
        else:
            what = f"{type(error).__name__}: {one_line(error)}"
        raise _problem(f"cannot import {name!r}: {what}") from error
    finally:
        _imported.reset(outer)
    if folder:
        _check_beside(module, folder)
    return module


def _check_beside(module: ModuleType, folder: Path) -> None:
    """Refuse a module that another folder has given its name to: a process has one module of each name."""
    path = module.__name__.replace(".", "/")
    ends = (f"{path}.py", f"{path}/__init__.py")
    beside = next((file for end in ends if (file := folder / end).is_file()), None)
    loaded = Path(module.__file__ or "")
    if beside is None or loaded not in {Path(other, end) for other in FURTHER for end in ends}:
        return
    with contextlib.suppress(OSError):  # what is gone cannot be compared
        if loaded.read_bytes() != beside.read_bytes():
            what = f"{module.__name__!r} is {loaded} in this process, and {beside} is another module"
            raise _problem(f"{what}; allowed: another name, or a process of its own")


def _named(path: str) -> Any:
    """Return what ``module:Name`` of this package names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _problem(what: str) -> Problems:
    return Problems([Problem(("kind",), what)])
