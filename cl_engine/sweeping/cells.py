"""The cells of a sweep: resolved scenarios, each identified by its hash."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cl_engine.config.axes import Assignments, assignments_of
from cl_engine.config.common import Common
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.kinds.problems import shown
from cl_engine.reports.text import size

Source = str | Path | Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Cell:
    """One run of a sweep.

    Attributes:
        number: from 1, in the order of the sweep.
        assignments: what it sets, dotted keys.
        scenario: what it runs.
        impossible: why its budget cannot be kept, whatever is trained; None where it can.
    """

    number: int
    assignments: Assignments
    scenario: Scenario
    impossible: str | None = None

    @property
    def directory(self) -> str:
        """The name of its run directory."""
        return f"{self.scenario.name}-{self.scenario.id}"

    @property
    def title(self) -> str:
        """What tells it from the others, in a few words."""
        return ", ".join(f"{key.rpartition('.')[2]} {_word(key, value)}" for key, value in self.assignments.items())


@dataclass(frozen=True, eq=False)
class Sweep:
    """A scenario with a section ``sweep``, and the cells that it stands for.

    Attributes:
        name: of the scenario; names the sweep's folder.
        source: what it was read from.
        overrides: assignments to all cells.
        tree: the scenario as given, ``overrides`` applied.
        cells: no two of them the same run.
        notes: what was left out.
    """

    name: str
    source: Source
    overrides: tuple[str, ...]
    tree: Mapping[str, Any]
    cells: list[Cell]
    notes: list[str]


def sweep_of(source: Source, overrides: Sequence[str] = ()) -> Sweep:
    """Read and check a sweep.

    Args:
        source: a scenario file, the name of a shipped one, or a mapping, with a section ``sweep``.
        overrides: assignments ``a.b=value`` to all cells, as of ``--set``.

    Raises:
        ConfigError: the scenario, its sweep or any of its cells is wrong; what only exceeds its budget is no error.
    """
    common = Common()
    base = Scenario.load(source, overrides, common)
    sweep = base.document.tree.get("sweep")
    if not sweep:
        raise ConfigError(f"{base.document.origin}: sweep: missing; allowed: such as {{strategy: [replay, icarl]}}")
    assigned = assignments_of(sweep, base.seed)
    varied = {key for cell in assigned for key in cell}
    for override in overrides:
        key = override.partition("=")[0].strip()
        if clash := next(
            (v for v in varied if f"{v}.".startswith(f"{key}.") or f"{key}.".startswith(f"{v}.")), None
        ):
            what = f"the sweep varies {clash}, so this would be lost; allowed: --only, or another key"
            raise ConfigError(f"--set {shown(override)}: {what}")
    found: dict[str, Cell] = {}
    wrong: list[str] = []
    for number, assignments in enumerate(assigned, start=1):
        changes = {**assignments, "sweep": None, "name": base.name}
        try:
            scenario = Scenario.load(base, (), common, **changes)
        except ConfigError as error:
            wrong += [f"{line} (cell {number})" for line in str(error).splitlines()]
            continue
        if scenario.id not in found:
            found[scenario.id] = Cell(len(found) + 1, assignments, scenario, _impossible(scenario))
    if wrong:
        more = [f"and {len(wrong) - 5} more lines about other cells"] if len(wrong) > 6 else []
        raise ConfigError("\n".join([*(wrong[:5] if more else wrong), *more]))
    same = len(assigned) - len(found)
    what, how = ("cell is", "was") if same == 1 else ("cells are", "were")
    notes = [f"{same} {what} the same run as another and {how} left out"] if same else []
    return Sweep(base.name, source, tuple(overrides), base.document.tree, [*found.values()], notes)


def _impossible(scenario: Scenario) -> str | None:
    try:
        return scenario.shortage()
    except ConfigError as error:
        return str(error)


def _word(key: str, value: Any) -> str:
    if isinstance(value, Mapping):
        kind = value.get("kind")
        others = [f"{k} {_word(k, v)}" for k, v in value.items() if k != "kind"]
        return " ".join([*([str(kind)] if kind else []), *others])
    if key == "memory.budget" and type(value) is int:
        return size(value)
    return str(value) if isinstance(value, str) else json.dumps(value, default=str)
