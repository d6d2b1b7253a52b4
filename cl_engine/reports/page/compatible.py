"""Compatibility of a run's models, and a service that they replace each other in, as charts and as numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cl_engine.metrics.compatibility import failures
from cl_engine.metrics.inequalities import violations
from cl_engine.reports.page.charts.drawing import ROOM, Spec
from cl_engine.reports.page.charts.series import Rule, series
from cl_engine.reports.page.charts.triangle import Marks, triangle
from cl_engine.reports.page.diagnostics import Diagnosed, firsts
from cl_engine.reports.page.drawn import Shown

GALLERIES = 12  # galleries that are followed; of more every k-th and the last
MOST = 60  # charts; the tables have all
LOOKS = 120  # points of a line over time
PANEL = 120  # pixels of height of a panel of a service
KIB = 1024
Cell = tuple[str, str, str, int]  # strategy, scenario, policy, budget


class Column(NamedTuple):
    """A number of a result: its heading, the keys that lead to it, and by what it is multiplied."""

    title: str
    keys: tuple[str, str]
    factor: float = 1.0


COMPARED = (
    Column("AC", ("compatibility", "average_compatibility")),
    Column("AA, %", ("compatibility", "average_cross_accuracy"), 100),
    Column("BC, points", ("compatibility", "backward_compatibility"), 100),
    Column("FC, points", ("compatibility", "forward_compatibility"), 100),
)
SERVED = (
    Column("accuracy, %", ("service", "mean_accuracy"), 100),
    Column("if renewed at once, %", ("service", "mean_accuracy_if_renewed_at_once"), 100),
    Column("embedded anew", ("service", "re_embedded")),
    Column("embedded twice", ("service", "twice")),
    Column("renewal, GFLOP", ("service", "renewal_flops"), 1e-9),
    Column("vectors at most, KiB", ("service", "max_vector_bytes"), 1 / KIB),
)


def compared(shown: Shown, results: Mapping[str, Mapping[str, Any]]) -> list[Diagnosed]:
    """Return of each strategy the matrix, and the accuracy in each gallery over experiences; of the first seed."""
    return [*_compared(shown, results)][:MOST]


def served(shown: Shown, results: Mapping[str, Mapping[str, Any]]) -> list[Diagnosed]:
    """Return of each strategy accuracy, bytes and operations over time; of the first seed."""
    found = []
    for first in firsts(shown, results):
        if service := first.result.get("service"):
            spec = _panels(service, first.result["config"]["service"]["seconds"], " ".join(first.label.split()))
            words = f"Accuracy and cost of a service over time, policy of renewal {service['policy']}"
            found.append(first.drawn("service", words, spec))
    return found[:MOST]


def means(
    shown: Shown, results: Mapping[str, Mapping[str, Any]], columns: Sequence[Column]
) -> dict[Cell, list[float | None]]:
    """Return the mean over seeds of numbers of the results that have them; None where no seed has a value."""
    found: dict[Cell, list[list[float | None]]] = {}
    done = shown.runs[shown.runs["status"] == "done"].fillna({"budget_bytes": 0})
    for run in done.itertuples(index=False):
        result = results.get(run.run, {})
        if result.get(columns[0].keys[0]):
            cell = (str(run.label), str(run.scenario), str(run.policy), int(run.budget_bytes))
            values = [result[section][key] for section, key in (column.keys for column in columns)]
            found.setdefault(cell, []).append(values)
    return {
        cell: [_mean([row[i] for row in rows], column.factor) for i, column in enumerate(columns)]
        for cell, rows in found.items()
    }


def _mean(values: Sequence[float | None], factor: float) -> float | None:
    there = [factor * value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def _compared(shown: Shown, results: Mapping[str, Mapping[str, Any]]) -> Iterator[Diagnosed]:
    for first in firsts(shown, results):
        if found := first.result.get("compatibility"):
            name, how = " ".join(first.label.split()), f"protocol {found['protocol']}"
            words = f"Queries by each model in the galleries of those before, percent, {how}"
            yield first.drawn("compatibility", words, triangle(found["matrix"], _marks(found), name))
            spec = _over_time(found["matrix"], first.result["config"].get("replace") or (), name)
            words = f"Accuracy in each gallery by the models after its own, {how}; lines: a model is received"
            yield first.drawn("old-galleries", words, spec)


def _marks(found: Mapping[str, Any]) -> Marks:
    """Return what fails of a matrix, by sign; the inequalities where they were looked at."""
    marks: dict[str, tuple[str, Collection[tuple[int, int]]]] = {
        "!": ("not above the older model's self-test", {*failures(found["matrix"])})
    }
    if cosines := found.get("mean_cosine"):
        farther, nearer = violations(cosines["same"], cosines["different"])
        marks["="] = "farther from its own class than the old queries, in the mean", {*farther}
        marks["\u2260"] = "nearer to other classes than the old queries, in the mean", {*nearer}
    return marks


def _over_time(matrix: Sequence[Sequence[float]], replaced: Sequence[Mapping[str, Any]], name: str) -> Spec:
    models = len(matrix)
    shown = range(models - 1, -1, -max(1, -(-models // GALLERIES)))[::-1]
    lines = {f"gallery {k + 1}": [(t + 1, 100 * matrix[t][k]) for t in range(k, models)] for k in shown}
    rules: list[Rule] = [
        (entry["at"] - 0.5, f"a model is received before experience {entry['at']}", False) for entry in replaced
    ]
    return series(lines, "accuracy, %", name, rules=rules)


def _panels(service: Mapping[str, Any], seconds: float, name: str) -> Spec:
    """Return accuracy, bytes and operations over one another; a model comes every so many seconds."""
    times = service["times"]
    lines: list[tuple[str, dict[str, list[float]]]] = [
        (
            "accuracy, %",
            {
                "if renewed at once": [100 * a for a in service["fresh"]],
                "service": [100 * a for a in service["accuracy"]],
            },
        ),
        ("vectors, KiB", {"stored": [size / KIB for size in service["vector_bytes"]]}),
    ]
    if spent := service.get("renewal_flops_so_far"):  # not in older results
        lines.append(("renewal, GFLOP", {"so far": [flops / 1e9 for flops in spent]}))
    rules = _events(service["switched"], seconds)
    panels = []
    for title, own in lines:
        drawn = {key: [*zip(times, values, strict=True)] for key, values in own.items()}
        panel = series(drawn, title, name, along="seconds", rules=rules, most=LOOKS, high=PANEL)
        room = panel.pop("padding")
        panels.append(panel)
    return {"vconcat": panels, "spacing": 10, "padding": {**ROOM, "right": room["right"]}}


def _events(switches: Sequence[float | None], seconds: float) -> list[Rule]:
    rules: list[Rule] = []
    for model, switched in enumerate(switches, start=1):
        came = (model - 1) * seconds
        if model > 1:
            rules.append((came, f"model {model} comes at {came:,g} s", False))
        if switched is not None and switched > came:
            rules.append((switched, f"queries go to model {model} at {switched:,g} s", True))
    return rules
