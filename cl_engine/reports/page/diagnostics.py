"""What analyses and probes found, as charts: for the page, and for files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cl_engine.reports.observed import ANGLES, CKA, DRIFT, NORM, PROBE, SHIFT
from cl_engine.reports.page.charts.drawing import Spec
from cl_engine.reports.page.charts.heat import heat
from cl_engine.reports.page.charts.series import Line, series
from cl_engine.reports.page.drawn import Shown, limit, with_cells

MOST = 60  # charts; the tables have all


class Diagnosed(NamedTuple):
    """One chart of one strategy.

    Attributes:
        what: the beginning of its file's name: ``gradient-norms``, ``weight-shift``, ``probe``, ``cka``, ``drift``,
            ``angles``, ``branch-cka``, ...
        scenario: the task.
        policy: that budgets were enforced under.
        budget: bytes, 0 for none.
        label: of the strategy.
        words: a caption.
        spec: the chart.
    """

    what: str
    scenario: str
    policy: str
    budget: int
    label: str
    words: str
    spec: Spec


class Kind(NamedTuple):
    """A chart of lines: how its columns are called and what they are."""

    what: str
    columns: Mapping[str, str]
    title: str
    words: str
    factor: float = 1.0
    log: bool = False


def columns_of(frame: Any) -> list[str]:
    """Return the columns of what was observed, in the order of the frame."""
    return [c for c in frame.columns if c == PROBE or c in CKA or c in ANGLES or c.startswith((NORM, SHIFT, DRIFT))]


def diagnosed(shown: Shown, results: Mapping[str, Mapping[str, Any]]) -> list[Diagnosed]:
    """Return the charts of all strategies, means over seeds; of branches those of the first seed."""
    return [*_lines(shown), *_branches(shown, results)][:MOST]


def _kinds(columns: Sequence[str]) -> Iterator[Kind]:
    def behind(prefix: str) -> dict[str, str]:
        return {c: c.removeprefix(prefix).replace("_", " ") for c in columns if c.startswith(prefix)}

    if norms := behind(NORM):
        words = "Norm of the gradient of each block, mean over the steps of an experience"
        yield Kind("gradient-norms", norms, "gradient norm", words, log=True)
    if shifts := behind(SHIFT):
        words = "How far the weights of each block moved in an experience, relative to their norm"
        yield Kind("weight-shift", shifts, "|moved| / |weights|", words)
    if PROBE in columns:
        both = {"accuracy": "accuracy", PROBE: "linear probe"}
        yield Kind("probe", both, "accuracy on classes seen, %", "Accuracy beside that of a linear probe", 100)
    if own := {c: f"with the {name}" for c, name in CKA.items() if c in columns}:
        words = "CKA of the representation with that after the first experience, and after the one before"
        yield Kind("cka", own, "CKA", words)
    if own := {c: f"{name} classes" for c, name in ANGLES.items() if c in columns}:
        words = "Angle between the mean of a class and its own vertex of the fixed simplex, mean over classes"
        yield Kind("angles", own, "angle, degrees", words)
    if drifts := behind(DRIFT):
        words = (
            "Drift since the experience before: features and class means relative to their size, prototypes and "
        )
        words += "their gap to the class means as 1 - cosine"
        yield Kind("drift", drifts, "drift of old classes", words)


def _lines(shown: Shown) -> Iterator[Diagnosed]:
    columns = columns_of(shown.experiences)
    if not columns:
        return
    frame = with_cells(shown, shown.experiences)
    keys = ["scenario", "policy", "budget", "label"]
    means = frame.groupby([*keys, "experience"], sort=False)[["accuracy", *columns]].mean().reset_index()
    for (task, policy, budget, label), rows in means.groupby(keys, sort=False):
        if task not in shown.drawn_scenarios:
            continue
        rows = rows.sort_values("experience").dropna(axis="columns", how="all")
        for kind in _kinds([c for c in columns if c in rows]):
            lines = {name: _line(rows, column, kind.factor) for column, name in kind.columns.items()}
            words = f"{kind.words}; {label}, {limit(int(budget))}, policy {policy}{f', {task}' if task else ''}."
            name = " ".join(label.split())
            spec = series(lines, kind.title, name, kind.log)
            yield Diagnosed(kind.what, task, policy, int(budget), label, words, spec)


def _line(rows: Any, column: str, factor: float) -> Line:
    own = rows[["experience", column]].dropna() if column in rows else rows[:0][["experience"]].assign(y=0.0)
    return [(int(x), factor * float(y)) for x, y in own.itertuples(index=False)]


class First(NamedTuple):
    """The run of the first seed of a strategy within a budget.

    Attributes:
        scenario: the task.
        policy: that budgets were enforced under.
        budget: bytes, 0 for none.
        label: of the strategy.
        result: what the run found.
        whose: strategy, seed, budget, policy and task in words.
    """

    scenario: str
    policy: str
    budget: int
    label: str
    result: Mapping[str, Any]
    whose: str

    def drawn(self, what: str, words: str, spec: Spec) -> Diagnosed:
        """Return a chart of this run."""
        return Diagnosed(what, self.scenario, self.policy, self.budget, self.label, f"{words}; {self.whose}.", spec)


def firsts(shown: Shown, results: Mapping[str, Mapping[str, Any]]) -> Iterator[First]:
    """Yield the run of the first seed of each strategy, of the scenarios that are drawn."""
    done = shown.runs[shown.runs["status"] == "done"].sort_values("seed")
    rows = done.assign(budget=done["budget_bytes"].fillna(0).astype("int64"))
    for (task, policy, budget, label), own in rows.groupby(["scenario", "policy", "budget", "label"], sort=False):
        first = own.iloc[0]
        if task in shown.drawn_scenarios and first["run"] in results:
            whose = f"{label}, seed {int(first['seed'])}, {limit(int(budget))}, policy {policy}"
            whose += f", {task}" if task else ""
            yield First(task, policy, int(budget), label, results[first["run"]], whose)


def _branches(shown: Shown, results: Mapping[str, Mapping[str, Any]]) -> Iterator[Diagnosed]:
    for first in firsts(shown, results):
        layers = first.result.get("analyses", {}).get("branch-cka", {}).get("matrix")
        if layers:
            names = [f"after stage {k} of a branch" if len(layers) > 1 else "" for k in range(1, len(layers) + 1)]
            spec = heat(layers, names, " ".join(first.label.split()))
            yield first.drawn("branch-cka", "CKA between branches at the end", spec)
