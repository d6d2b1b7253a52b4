"""How the page was made: the method in a few lines, each run's configuration, versions, how to cite."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cl_engine.reports.page.markup import Markup, join, table, tag
from cl_engine.reports.text import leaves

NOTES = (
    "The seed is the unit of replication. Intervals are 95 % Student t intervals over seeds (n - 1).",
    "Two strategies are compared by their differences on the seeds that both have (paired t test).",
    "Rank intervals: each strategy against each other, corrected by Holm at 5 % within the strategy; the best rank "
    "left open is 1 + those significantly above, the worst is all minus those significantly below. Whoever may "
    "have rank 1 may be the best.",
    "Over several scenarios a seed counts by its mean over all of them, if it has them all; no interval is over "
    "scenarios.",
    "Areas (trapezoid over nominal budgets, nothing extrapolated) are reduced to one number a seed first.",
    "Crossings: curves are linear between budgets, in log2 of the budget where the largest is at least 8 times the "
    "smallest; the interval is Fieller's set.",
    "Pareto view: on the front nothing has no more bytes and no less accuracy; open marks are not on it, but "
    "nothing with as few bytes is significantly above.",
    "Seeds needed: power of 80 % at two-sided 5 %, with the standard deviation as seen and with its upper "
    "80 % limit.",
    "Nothing is imputed: impossible cells rank under everybody, failed ones have no rank, n is shown where "
    "seeds are missing, and a strategy with fewer than half of the seeds has no rank.",
    "finetune and joint are references: drawn and tabulated, never ranked.",
    "Hiding a strategy changes no number: every statistic was computed over all of them when the page was written.",
    "Bytes: full is everything that survives an experience; paper counts backbone parameters and raw exemplars, as "
    "MEMO (Zhou et al., ICLR 2023) does. The training peak exists only while an experience is learned.",
)

BIBTEX = """@inproceedings{zhou2023memo,
  title = {A Model or 603 Exemplars: Towards Memory-Efficient Class-Incremental Learning},
  author = {Zhou, Da-Wei and Wang, Qi-Wei and Ye, Han-Jia and Zhan, De-Chuan},
  booktitle = {ICLR},
  year = {2023}
}"""


def notes() -> Markup:
    """Return the method in a few lines."""
    return tag("ul", *(tag("li", note) for note in NOTES))


def versions(runs: Any, results: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Return what the runs were made with, each value once."""
    facts = [
        (name, _distinct(runs[column]))
        for name, column in (
            ("cl-engine", "cl_engine"),
            ("torch", "torch"),
            ("threads", "threads"),
            ("device", "device"),
        )
        if column in runs
    ]
    for key in ("python", "numpy"):
        found = {str(r["environment"][key]) for r in results.values() if key in r.get("environment", {})}
        if found:
            facts.append((key, ", ".join(sorted(found))))
    facts.append(("streams", _distinct(runs["fingerprint"])))
    return tag("dl", *(join(tag("dt", name), tag("dd", value)) for name, value in facts))


def configurations(results: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Return the first configuration, and of every other one in what it differs."""
    if not results:
        return tag("p", "No run finished.")
    plain = {run: leaves(result["config"]) for run, result in results.items()}
    first, base = next(iter(plain.items()))
    rows: list[list[object]] = []
    for run, own in plain.items():
        keys = [key for key in dict.fromkeys([*own, *base]) if own.get(key) != base.get(key)]
        changes = ", ".join(f"{key}={_value(own.get(key))}" for key in keys)
        rows.append([run, changes or "(the first)"])
    whole = json.dumps(results[first]["config"], indent=1, ensure_ascii=False)
    return join(
        tag(
            "details",
            tag("summary", f"The first run's configuration ({first})"),
            tag("pre", whole),
            class_="screen",
        ),
        tag(
            "details",
            tag("summary", f"All {len(plain)} runs, in what they differ from the first"),
            table(["run", "differs in"], rows),
            class_="screen",
        ),
    )


def records(runs: Any) -> dict[str, list[Any]]:
    """Return a frame as JSON holds it, by column; what is missing is null."""
    return {str(column): [_plain(value) for value in runs[column].tolist()] for column in runs.columns}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if value != value or value in (float("inf"), float("-inf")) else round(value, 7)
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _distinct(column: Any) -> str:
    found: Sequence[str] = sorted({f"{v:g}" if isinstance(v, float) else str(v) for v in column.dropna()})
    return ", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
