"""Many runs as tables: what stands in the folders of sweeps and runs, as tidy pandas frames."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cl_engine.config.document import SourceError, read
from cl_engine.errors import InputError
from cl_engine.kinds.registry import kinds
from cl_engine.metrics import DESCRIPTIONS
from cl_engine.reports.labels import labels_of, scenarios_of
from cl_engine.reports.observed import observed
from cl_engine.reports.result import CONFIG, FILE, LINES, ResultError, read_result
from cl_engine.reports.text import by_kind, size

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1  # of results that this version reads
CELLS, FAILED = "cells.jsonl", "failed.json"
SAME = ("metrics", "accuracy", "stream", "memory")  # of a result; times and versions may differ
ROWS = 20  # of the table that a notebook shows
ALLOWED = "allowed: the folder of a sweep or of runs, or a run directory"
Per = Literal["run", "experience", "curve", "matrix"]


class NoResultsError(InputError):
    """There is nothing to read."""


@dataclass(frozen=True, eq=False)
class Found:
    """One run, or one cell of a sweep that has not run.

    Attributes:
        cell: its number in the sweep, or None.
        run: name of its run directory.
        path: the directory.
        status: ``done``, ``failed``, ``impossible`` or ``unfinished``.
        why: a few words, where it is not done.
        config: the resolved scenario, as far as it is known.
        assignments: what the sweep set, dotted keys.
        budget: bytes at the end, or None.
        result: what ``result.json`` holds, where it is done.
    """

    cell: int | None
    run: str
    path: Path
    status: str
    why: str
    config: Mapping[str, Any]
    assignments: Mapping[str, Any]
    budget: int | None
    result: Mapping[str, Any] | None

    @property
    def strategy(self) -> str:
        """The kind of its strategy."""
        return str(self.config["strategy"]["kind"])

    @property
    def seed(self) -> int:
        """Its root seed."""
        return int(self.config["seed"])


@dataclass(frozen=True, eq=False)
class Results:
    """The runs of some folders.

    Attributes:
        folders: where they were looked for.
        runs: all that were found, in the order of their sweeps, then by name.
        left_out: path and reason of what looks like a run and cannot be read.
    """

    folders: tuple[Path, ...]
    runs: list[Found]
    left_out: list[tuple[Path, str]] = field(default_factory=list)

    def frame(self, per: Per = "run") -> pd.DataFrame:
        """Return a tidy frame; fractions, bytes and seconds, nothing formatted, missing values NaN.

        ``run``: one row a run, with all metrics, and a column for each swept key under its dotted name.
        ``experience``: one row an experience, with ``held.<kind>`` for each kind of the ledger, and what probes and
        analyses found of it, where there were any.
        ``curve``: one row an evaluation point.  ``matrix``: one row an experience and group.
        """
        import pandas as pd

        rows = {"run": self._run, "experience": self._experiences, "curve": self._curve, "matrix": self._matrix}
        labels, scenarios = self.labels(), self.scenarios()
        extra = [key for key in self.swept() if key not in ("strategy", "seed")]
        found = [
            {
                **self._named(run, labels[run.run], scenarios[run.run]),
                **row,
                **{key: _flat(run.assignments.get(key)) for key in extra},
            }
            for run in self.runs
            for row in rows[per](run)
        ]
        frame = pd.DataFrame(found)
        if "budget_bytes" in frame:
            frame["budget_bytes"] = frame["budget_bytes"].astype(float)
        frame.attrs["schema"] = SCHEMA
        tidy: pd.DataFrame = frame
        return tidy

    @property
    def title(self) -> str:
        """The names of the scenarios that were run."""
        return ", ".join(dict.fromkeys(str(run.config.get("name")) for run in self.runs))

    def swept(self) -> list[str]:
        """Return the keys that any sweep set, in their order."""
        return [*dict.fromkeys(key for run in self.runs for key in run.assignments)]

    def labels(self) -> dict[str, str]:
        """Return by run what tells its method from the others: the strategy and the options that differ."""
        return labels_of(self.runs, self.swept())

    def scenarios(self) -> dict[str, str]:
        """Return by run which task it is, in what its data and stream differ; empty where all are one."""
        return scenarios_of(self.runs)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the mean of average accuracy by label and budget, and of how many seeds."""
        frame = self.frame()
        if "average_accuracy" not in frame:
            frame["average_accuracy"] = float("nan")
        done = frame.dropna(subset=["average_accuracy"])
        groups = done.groupby(["label", "budget_bytes"], sort=False, dropna=False)["average_accuracy"]
        means = groups.agg(["mean", "size"]).reset_index()
        head = ["strategy", "budget", "average accuracy, %", "seeds"]
        rows = [
            [escape(label), size(budget) if budget == budget else "none", f"{100 * mean:.1f}", str(seeds)]
            for label, budget, mean, seeds in means.itertuples(index=False)
        ]
        lines = [f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in rows[:ROWS]]
        more = f"; {len(rows) - ROWS} more rows, see frame()" if len(rows) > ROWS else ""
        caption = f"{escape(self.title)}: {len(done)} of {len(self.runs)} runs done{more}"
        heading = f"<tr><th>{'</th><th>'.join(head)}</th></tr>"
        return f"<table><caption>{caption}</caption>{heading}{''.join(lines)}</table>"

    def _named(self, run: Found, label: str, scenario: str) -> dict[str, Any]:
        policy = run.config.get("memory", {}).get("policy")
        return {
            "cell": run.cell,
            "run": run.run,
            "name": run.config.get("name"),
            "strategy": run.strategy,
            "family": family(run.strategy),
            "label": label,
            "scenario": scenario,
            "seed": run.seed,
            "policy": policy if isinstance(policy, str) or policy is None else " + ".join(policy),
            "budget_bytes": run.budget,
            "status": run.status,
        }

    def _run(self, run: Found) -> Iterator[dict[str, Any]]:
        result = run.result
        if result is None:
            yield {"why": run.why}
            return
        memory, environment = result["memory"], result["environment"]
        yield {
            "why": "",
            "n_experiences": len(memory["held_bytes"]),
            **{name: result["metrics"].get(name) for name in DESCRIPTIONS},
            "max_held_bytes": memory["max_held_bytes"],
            "mean_held_bytes": memory["mean_held_bytes"],
            "end_held_bytes": memory["held_bytes"][-1],
            "paper_bytes": max(memory["paper_bytes"]),
            "training_peak_bytes": memory["training_peak_bytes"],
            **{f"seconds_{key}": seconds for key, seconds in result["seconds"].items()},
            "fingerprint": result["stream"]["fingerprint"],
            "classes_fingerprint": _order(result["stream"]["experiences"]),
            **{key: environment.get(key) for key in ("threads", "device", "cl_engine", "torch")},
        }

    def _experiences(self, run: Found) -> Iterator[dict[str, Any]]:
        if run.result is None:
            return
        memory, delivered, seen = run.result["memory"], 0, 0
        peaks = memory.get("training_bytes") or [None] * len(memory["held_bytes"])
        for index, experience in enumerate(run.result["stream"]["experiences"]):
            delivered += experience["samples"]
            seen += len(experience["new_classes"])
            yield {
                "experience": index + 1,
                "samples": delivered,
                "classes_seen": seen,
                "accuracy": run.result["accuracy"]["seen"][index],
                "held_bytes": memory["held_bytes"][index],
                "paper_bytes": memory["paper_bytes"][index],
                "peak": peaks[index],
                **{f"held.{kind}": amount for kind, amount in by_kind(memory["entries"][index])},
                **observed(run.result, index),
            }

    def _curve(self, run: Found) -> Iterator[dict[str, Any]]:
        for samples, accuracy in run.result["accuracy"]["curve"] if run.result else ():
            yield {"samples": samples, "accuracy": accuracy}

    def _matrix(self, run: Found) -> Iterator[dict[str, Any]]:
        for index, row in enumerate(run.result["accuracy"]["matrix"] if run.result else ()):
            for group, accuracy in enumerate(row):
                yield {"experience": index + 1, "group": group + 1, "accuracy": accuracy}


def load_results(*folders: str | Path, per: Per = "run") -> pd.DataFrame:
    """Return the runs of sweep folders (or of folders of runs) as one tidy frame; see :meth:`Results.frame`.

    Raises:
        NoResultsError: a folder does not exist, or holds no run.
    """
    return read_results(*folders).frame(per)


def read_results(*folders: str | Path) -> Results:
    """Read all runs of some folders.

    Args:
        folders: of sweeps, folders that hold run directories, or run directories.  A run that several of them
            hold is there once; where its results differ the first counts, and the other is left out.

    Raises:
        NoResultsError: a folder does not exist, or nothing in any of them is a run.
    """
    runs: dict[str, Found] = {}  # by name, which holds the hash of its configuration
    left_out: list[tuple[Path, str]] = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise NoResultsError(f"{folder}: there is no such folder; {ALLOWED}")
        if (folder / CONFIG).exists() or (folder / FILE).exists():
            _take(folder.resolve(), None, runs, left_out)
            continue
        cells = {cell["run"]: cell for cell in _lines(folder / CELLS) if isinstance(cell.get("run"), str)}
        names = [*cells, *(path.name for path in sorted(folder.iterdir()) if path.is_dir())]
        for name in dict.fromkeys(names):
            path = folder / name
            if cells and name not in cells:
                if (path / CONFIG).exists():
                    left_out.append((path, "it is no cell of the sweep as it is now"))
                continue
            _take(path, cells.get(name), runs, left_out)
    if not runs:
        where = ", ".join(map(str, folders))
        reasons = f" ({left_out[0][1]})" if len(left_out) == 1 else ""
        raise NoResultsError(f"{where}: holds no run{reasons}; {ALLOWED}")
    return Results(tuple(map(Path, folders)), [*runs.values()], left_out)


def _take(
    path: Path, cell: Mapping[str, Any] | None, runs: dict[str, Found], left_out: list[tuple[Path, str]]
) -> None:
    """Add what a directory holds to the runs or to what is left out; of a run found twice the finished one."""
    found, why = _found(path, cell)
    if found is None:
        left_out += [(path, why)] if why else []
        return
    first = runs.setdefault(found.run, found)
    if first is found or first.path.resolve() == path.resolve() or found.result is None:
        return
    if first.result is None:
        runs[found.run] = found
    elif any(first.result.get(key) != found.result.get(key) for key in SAME):
        left_out.append((path, f"the same run with another result is in {first.path.parent}, which counts"))


def family(strategy: str) -> str:
    """Return the mechanism of a strategy, ``own`` for a user's.

    >>> family("replay"), family("mine:Mine")
    ('rehearsal', 'own')
    """
    return kinds("strategies")[strategy].split(".")[2] if strategy in kinds("strategies") else "own"


def failure_of(directory: Path) -> dict[str, Any] | None:
    """Return what ``failed.json`` of a run directory says, or None."""
    found = _json(directory / FAILED)
    return found if found is not None and isinstance(found.get("message"), str) else None


def _found(path: Path, cell: Mapping[str, Any] | None) -> tuple[Found | None, str]:
    """Return the run of a directory, or why it is none; an empty text where it never was one."""
    number = cell["cell"] if cell else None
    assignments = cell["assignments"] if cell else {}
    if (path / FILE).exists():
        try:
            result = read_result(path)
            if result.get("schema") != SCHEMA:
                return None, f"its result has schema {result.get('schema')!r}; this version reads {SCHEMA}"
            if path.name != f"{result['name']}-{result['id']}":
                return None, "it is not the directory that the run was made in: set aside, copied or renamed"
            budget = result["memory"]["budget_bytes"]
            fine = (number, path.name, path, "done", "", result["config"], assignments, budget, result)
            return Found(*fine), ""
        except ResultError as error:
            return None, str(error)
        except (KeyError, TypeError):
            return None, "its result lacks what every result has"
    if cell and cell.get("impossible"):
        known = (cell["config"], assignments, cell["budget_bytes"], None)
        return Found(number, path.name, path, "impossible", cell["impossible"], *known), ""
    config = _config(path) or (cell["config"] if cell else None)
    if config is None:
        return None, ""
    failure = failure_of(path)
    done = sum(1 for _ in _lines(path / LINES))
    status = "failed" if failure else "unfinished"
    why = f"{failure.get('error')}: {failure['message']}" if failure else f"{done} experiences are finished"
    budget = cell["budget_bytes"] if cell else None
    return Found(number, path.name, path, status, why, config, assignments, budget, None), ""


def _config(path: Path) -> dict[str, Any] | None:
    try:
        config = read(path / CONFIG).tree
        return config if isinstance(config["strategy"]["kind"], str) and isinstance(config["seed"], int) else None
    except (SourceError, KeyError, TypeError):
        return None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield found


def _order(experiences: Sequence[Mapping[str, Any]]) -> str:
    """Return a hash of which classes each experience exposes first: the class order, whatever samples come."""
    exposed = json.dumps([experience["new_classes"] for experience in experiences])
    return hashlib.sha256(exposed.encode()).hexdigest()


def _flat(value: Any) -> Any:
    """Return a swept value as a cell of a table."""
    return json.dumps(value, default=str) if isinstance(value, Mapping | list) else value
