"""A family and its modifiers, applied in one fixed order."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from cl_engine.kinds.problems import OptionError, did_you_mean
from cl_engine.randomness import derive
from cl_engine.scenarios import CANONICAL, MODIFIERS, REDUCTIONS
from cl_engine.scenarios.empty import Empty, without_empty
from cl_engine.scenarios.plan import Int64, StreamPlan, targets_digest

REDRAWS = 100


def compose(
    targets: Int64,
    family: Callable[..., StreamPlan],
    options: Mapping[str, Any],
    modifiers: Mapping[str, Mapping[str, Any]],
    seed: int,
    empty: Empty | None = None,
    domains: Int64 | None = None,
    reductions: Mapping[str, Mapping[str, Any]] | None = None,
) -> StreamPlan:
    """Return the stream of ``family`` under ``modifiers``, each a name and its options.

    Whatever their order in the mapping, they apply as ``MODIFIERS`` lists them: ``imbalance`` chooses the samples
    that the family sees; then ``drift``, ``sizes``, ``label_noise`` change its plan.  ``seed`` holds for the family
    and for every modifier whose options name no seed of their own.  Indices, digest and number of samples always
    refer to all of ``targets`` ``[N]``.  A family whose second positional parameter is ``domains`` is handed those
    of the samples ``[N]``, or None.

    ``empty`` says what happens to experiences without samples: ``keep``, ``drop``, or ``forbid``, which draws the
    stream anew until there is none.  Default: ``keep`` for a published variant, else ``forbid``.

    Raises:
        OptionError: an unknown modifier, or what the family and the modifiers raise; the option of a modifier
            is named ``modifier.option``.
    """
    for name in modifiers:
        if name not in MODIFIERS:
            what = f"there is no such modifier{did_you_mean(name, MODIFIERS)}; allowed: {', '.join(MODIFIERS)}"
            raise OptionError(name, what)
    if "seed" in inspect.signature(family).parameters:
        options = {"seed": seed, **options}
    policy = empty or ("keep" if options.get("variant") == "published" else "forbid")
    plan = _once(targets, domains, family, options, modifiers, seed)
    first = plan
    for draw in range(REDRAWS):
        if policy != "forbid" or "seed" not in options or (plan.sizes > 0).all():
            break
        anew = int.from_bytes(derive(options["seed"], f"redraw/{draw}")[:4], "little")
        plan = _once(targets, domains, family, {**options, "seed": anew}, modifiers, seed)
        note = f"drawn anew {draw + 1} times until no experience was empty"
        plan = dataclasses.replace(plan, notes=(*plan.notes, note))
        if plan.fingerprint == first.fingerprint:  # the seed does not matter
            break
    plan = without_empty(plan, policy)
    for name in REDUCTIONS:
        if reductions and name in reductions:
            with _options_of(name):
                plan = _load(REDUCTIONS[name])(targets, plan, **reductions[name])
    return plan


def canonical(stream: Mapping[str, Any], targets: Int64, domains: Int64 | None = None) -> dict[str, Any]:
    """Return a stream's kind and options in the one spelling of what they mean for ``targets`` ``[N]``.

    ``domains`` are those of the samples ``[N]``, or None.

    Raises:
        OptionError: what the family raises.
    """
    kind = stream["kind"]
    return dict(_for(_load(CANONICAL[kind]), targets, domains)(stream) if kind in CANONICAL else stream)


def _once(
    targets: Int64,
    domains: Int64 | None,
    family: Callable[..., StreamPlan],
    options: Mapping[str, Any],
    modifiers: Mapping[str, Mapping[str, Any]],
    seed: int,
) -> StreamPlan:
    if "imbalance" in modifiers:
        with _options_of("imbalance"):
            kept = _load(MODIFIERS["imbalance"])(targets, **{"seed": seed, **modifiers["imbalance"]})
        kept_domains = None if domains is None else domains[kept]
        plan = _widened(_for(family, targets[kept], kept_domains)(**options), targets, kept)
    else:
        plan = _for(family, targets, domains)(**options)
    if not isinstance(plan, StreamPlan):
        raise OptionError("kind", f"{family.__name__} makes no StreamPlan")
    for name in MODIFIERS:
        if name in modifiers and name != "imbalance":
            with _options_of(name):
                plan = _load(MODIFIERS[name])(targets, plan, **{"seed": seed, **modifiers[name]})
    return plan


def _for(function: Callable[..., Any], targets: Int64, domains: Int64 | None) -> Callable[..., Any]:
    """Hand a function the labels, and the domains where it asks for them by a second positional parameter."""
    asked = inspect.signature(function).parameters.get("domains")
    if asked is not None and asked.kind is asked.POSITIONAL_OR_KEYWORD:
        return functools.partial(function, targets, domains)
    return functools.partial(function, targets)


def _widened(plan: StreamPlan, targets: Int64, kept: Int64) -> StreamPlan:
    """Say in terms of all ``targets`` what a plan says in terms of those at ``kept``."""
    left_out = len(targets) - len(kept)
    notes = (f"{left_out} of {len(targets)} samples left out by imbalance",) if left_out else ()
    return dataclasses.replace(
        plan,
        indices=np.asarray(kept)[plan.indices],
        samples=len(targets),
        targets_sha256=targets_digest(targets),
        notes=(*notes, *plan.notes),
    )


def _load(path: str) -> Callable[..., Any]:
    module, _, function = path.partition(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return loaded


@contextlib.contextmanager
def _options_of(modifier: str) -> Iterator[None]:
    try:
        yield
    except OptionError as error:
        raise OptionError(f"{modifier}.{error.option}", error.problem) from error
