"""The `sweep` section of a scenario: which keys take which values, and the cells that follow."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cl_engine.kinds.problems import Problem, Problems, did_you_mean, shown
from cl_engine.memory.budget import parse_budget

Assignments = dict[str, Any]  # dotted key -> value, as `--set` takes them
OWN = ("zip", "include", "exclude", "seeds")
RANGE = ("range", "points", "scale")
MOST_CELLS = 100_000
EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")  # YAML 1.1 reads 1e-3 as text; a person means a number


def assignments_of(sweep: Mapping[str, Any], seed: int = 0) -> list[Assignments]:
    """Return what each cell of a sweep sets, seeds changing fastest.

    Every key of the section is a dotted key of the scenario with the list of its values, or with
    ``{range: [128 KiB, 4 MiB], points: 6, scale: log}``.  ``zip`` holds keys that move together, ``exclude`` and
    ``include`` what to leave out of the product and what to add to it, ``seeds: 5`` stands for the seeds from the
    scenario's own on.

    Args:
        sweep: the section.
        seed: the scenario's seed.

    Raises:
        Problems: paths are relative to the section.

    >>> assignments_of({"strategy": ["ncm", "joint"], "seeds": 2, "exclude": [{"strategy": "joint", "seed": 1}]})
    ... # doctest: +NORMALIZE_WHITESPACE
    [{'strategy': 'ncm', 'seed': 0}, {'strategy': 'ncm', 'seed': 1}, {'strategy': 'joint', 'seed': 0}]
    """
    axes = [[{key: value} for value in _values((key,), given)] for key, given in sweep.items() if key not in OWN]
    axes += [[*_together(where, group)] for where, group in _groups(sweep.get("zip"))]
    seeds = _seeds(sweep, seed)
    _check_keys([*(key for axis in axes for key in axis[0]), *seeds[0]])
    count = math.prod(map(len, axes)) * len(seeds)
    if count > MOST_CELLS:
        raise _problem((), f"stands for {count:,} cells; allowed: {MOST_CELLS:,}")
    included = [*_cases(sweep, "include")]
    if not axes and not included and seeds == [{}]:
        raise _problem((), "names no key to vary; allowed: such as {strategy: [replay, icarl]}")
    product = [dict(itertools.chain(*(part.items() for part in parts))) for parts in itertools.product(*axes)]
    cells = [{**cell, **own} for cell in [*(product if axes or not included else []), *included] for own in seeds]
    excluded = [*_cases(sweep, "exclude")]
    for number, case in enumerate(excluded):
        if not any(_matches(cell, case) for cell in cells):
            raise _problem(("exclude", number), f"matches no cell: {shown(case)}; allowed: what a cell sets")
    kept = [cell for cell in cells if not any(_matches(cell, case) for case in excluded)]
    if not kept:
        raise _problem(("exclude",), "leaves no cell")
    return kept


def _matches(cell: Assignments, case: Assignments) -> bool:
    return all(key in cell and same(key, cell[key], value) for key, value in case.items())


def same(key: str, value: Any, wanted: Any) -> bool:
    """Tell whether a cell's value is what is wanted: a part by its kind alone, a budget in any unit."""
    if isinstance(value, Mapping) and isinstance(wanted, str):
        value = value.get("kind")
    if key == "memory.budget" and value != wanted:
        with contextlib.suppress(ValueError):
            return parse_budget(value) == parse_budget(wanted)
    return bool(value == wanted)


def _check_keys(keys: Sequence[str]) -> None:
    """Refuse axes of which one would overwrite another."""
    for number, key in enumerate(keys):
        if key in ("name", "sweep"):
            raise _problem((key,), "cannot be varied")
        for earlier in keys[:number]:
            if f"{earlier}.".startswith(f"{key}."):
                raise _problem(
                    (), f"{key} would overwrite {earlier}; allowed: each key once, a part before its options"
                )


def _groups(given: Any) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    if given is None:
        return
    if isinstance(given, Mapping):
        yield ("zip",), given
        return
    if not isinstance(given, list) or not all(isinstance(group, Mapping) for group in given):
        what = f"got {shown(given)}; allowed: a mapping of keys to lists of one length, or a list of such mappings"
        raise _problem(("zip",), what)
    yield from ((("zip", number), group) for number, group in enumerate(given))


def _together(where: tuple[str | int, ...], group: Mapping[str, Any]) -> Iterator[Assignments]:
    columns = {key: _values((*where, key), given) for key, given in group.items()}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        found = ", ".join(f"{key}: {len(values)}" for key, values in columns.items()) or "no key"
        raise _problem(where, f"keys that move together need lists of one length, got {found}")
    for row in zip(*columns.values(), strict=True):
        yield dict(zip(columns, row, strict=True))


def _cases(sweep: Mapping[str, Any], name: str) -> Iterator[Assignments]:
    given = sweep.get(name) or []
    cases = [given] if isinstance(given, Mapping) else given
    if not isinstance(cases, list) or not all(isinstance(case, Mapping) and case for case in cases):
        raise _problem((name,), f"got {shown(given)}; allowed: a list of mappings such as {{strategy: joint}}")
    yield from map(dict, cases)


def _seeds(sweep: Mapping[str, Any], seed: int) -> list[Assignments]:
    given = sweep.get("seeds")
    if given is None:
        return [{}]
    if "seed" in sweep:
        raise _problem(("seeds",), "stands beside the axis `seed`; allowed: one of the two")
    if isinstance(given, list) and given and all(type(s) is int and s >= 0 for s in given):
        return [{"seed": s} for s in given]
    if type(given) is int and 1 <= given <= MOST_CELLS:
        return [{"seed": seed + n} for n in range(given)]
    raise _problem(("seeds",), f"got {shown(given)}; allowed: a number of seeds, or a list of them")


def _values(where: tuple[str | int, ...], given: Any) -> list[Any]:
    if isinstance(given, list) and given:
        return [*map(_number, given)]
    if isinstance(given, Mapping) and "range" in given:
        return _range(where, given)
    allowed = "a list of values, or {range: [first, last], points: n, scale: log}"
    raise _problem(where, f"got {shown(given)}{did_you_mean(str(where[-1]), OWN)}; allowed: {allowed}")


def _range(where: tuple[str | int, ...], given: Mapping[str, Any]) -> list[Any]:
    ends, points, scale = given["range"], given.get("points"), given.get("scale", "log")
    if set(given) - set(RANGE) or scale not in ("log", "linear") or type(points) is not int or points < 2:
        raise _problem(where, "allowed: {range: [first, last], points: 2 or more, scale: log or linear}")
    if not isinstance(ends, Sequence) or isinstance(ends, str) or len(ends) != 2:
        raise _problem((*where, "range"), f"got {shown(ends)}; allowed: the first and the last value")
    unit, (first, last) = _numbers((*where, "range"), [*map(_number, ends)])
    if not all(map(math.isfinite, (first, last))):
        raise _problem((*where, "range"), f"got {shown(ends)}; allowed: finite numbers")
    if scale == "log" and not (first > 0 and last > 0):
        raise _problem((*where, "range"), f"got {shown(ends)}; allowed on a log scale: numbers above 0")
    shares = [n / (points - 1) for n in range(points)]
    inner = [first * (last / first) ** s if scale == "log" else first + (last - first) * s for s in shares]
    values = [first, *inner[1:-1], last]
    if unit == "number":
        return [float(f"{value:.6g}") for value in values]
    whole = [round(value) for value in values]
    return [f"{value} exemplars" for value in whole] if unit == "exemplars" else whole


def _number(value: Any) -> Any:
    """Return the number that a text such as ``1e-3`` stands for; anything else as it is."""
    return float(value) if isinstance(value, str) and EXPONENT.fullmatch(value.strip()) else value


def _numbers(where: tuple[str | int, ...], ends: Sequence[Any]) -> tuple[str, list[float]]:
    """Return the unit of both ends (``integer``, ``number``, ``bytes``, ``exemplars``) and their values."""
    if all(type(end) is int for end in ends):
        return "integer", [*ends]
    if all(type(end) in (int, float) for end in ends):
        return "number", [*ends]
    try:
        (unit, first), (other, last) = map(parse_budget, ends)
    except ValueError as error:
        raise _problem(where, str(error)) from None
    if unit != other:
        raise _problem(where, f"got {shown(list(ends))}; allowed: both in bytes or both in exemplars")
    return unit, [first, last]


def _problem(where: tuple[str | int, ...], what: str) -> Problems:
    return Problems([Problem(where, what)])
