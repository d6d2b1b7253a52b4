"""The page, composed: one file with its style, script, drawings, tables and data."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from cl_engine.reports.page import answer, making, sections
from cl_engine.reports.page.contest import METRICS, Contest, Entrant, contests
from cl_engine.reports.page.drawn import Shown
from cl_engine.reports.page.markup import Markup, join, json_block, tag
from cl_engine.reports.page.palette import FAMILIES, looks, style
from cl_engine.reports.page.swatches import swatch, symbols
from cl_engine.reports.page.tables import pair_data
from cl_engine.reports.result import LINES
from cl_engine.reports.results import Found, Per, Results
from cl_engine.reports.text import size
from cl_engine.reports.whole import write_whole
from cl_engine.strategies import KINDS

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
TIMES = " \u00d7 "
RESULT_COLUMNS = (
    *METRICS,
    "forgetting",
    "max_held_bytes",
    "paper_bytes",
    "training_peak_bytes",
    "seconds_total",
    "fingerprint",
    "threads",
    "device",
    "cl_engine",
    "torch",
)
LISTED = ("auto", "all", "means")  # which cells have a row of their own
FULL_DATA = 300  # cells up to which the accuracies of every experience go into the page's own data


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
        title: its heading.
        runs: the frame of runs, as :func:`load_results` gives it; the others are those of their parts.
        experiences: ``per="experience"``.
        curves: ``per="curve"``.
        matrices: ``per="matrix"``.
        results: the raw result of each finished run, by the frame's ``run``; config, stream, environment and notes
            are read.
        left_out: what a folder holds that is no cell: what it is (damaged, foreign, ...), which, why.
        links: from a run to its folder, relative to the page.
        command: how the sweep or the report was called.
        tested: samples in the test set, where all runs share it.
    """

    title: str
    runs: Any
    experiences: Any
    curves: Any
    matrices: Any
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    left_out: Sequence[tuple[str, str, str]] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    tested: int | None = None


def write_page(page: Page, path: Path, cells: str = "auto") -> int:
    """Write the page as one file and return its bytes; it is whole or absent.

    Args:
        page: what it shows.
        path: the file.
        cells: ``all`` cells have a row each, or only their ``means`` over seeds; ``auto``: means above 2,000 cells.
    """
    text = html_of(page, cells)
    write_whole(path, text)
    return len(text.encode("utf-8"))


def page_of(found: Results, title: str, beside: Path, command: str = "") -> Page:
    """Return the page of what was read from folders.

    Args:
        found: the runs, see :func:`cl_engine.reports.results.read_results`.
        title: heading of the page.
        beside: the folder that the page goes to; links to runs are relative to it.
        command: how the report was called.
    """
    runs, experiences, curves, matrices = (found.frame(per) for per in get_args(Per))
    done = [run for run in found.runs if run.result is not None]
    return Page(
        title,
        runs,
        experiences,
        curves,
        matrices,
        {run.run: run.result for run in done if run.result is not None},
        [("left out", str(path), why) for path, why in found.left_out],
        {run.run: os.path.relpath(run.path, beside) for run in done},
        command,
        _tested(done),
    )


def listed(cells: str, number: int) -> bool:
    """Tell whether so many cells have a row each: ``all``, or ``auto`` and not too many for a page."""
    return cells == "all" or (cells == "auto" and number <= sections.CELLS)


def html_of(page: Page, cells: str = "auto") -> str:
    """Return the page as text; ``cells`` as in :func:`write_page`."""
    shown = shown_of(page)
    every = listed(cells, len(page.runs))
    page = replace(page, runs=shown.runs)
    found, look = shown.contests, shown.looks
    package = files(__package__)
    css, script = (Markup((package / name).read_text(encoding="utf-8")) for name in ("style.css", "script.js"))
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", page.title),
        tag("style", css, Markup(style(look.values()))),
    )
    body = join(
        symbols(look.values()),
        _title(page, found),
        _answer(page, found),
        _bar(shown),
        tag(
            "main",
            sections.curves(shown),
            sections.rankings(shown),
            sections.scenarios(shown),
            sections.areas(shown),
            sections.crossings(shown),
            sections.differences(shown),
            sections.over_experiences(shown),
            sections.matrices(shown),
            sections.diagnostics(shown, page.results),
            sections.compatibility(shown, page.results),
            sections.service(shown, page.results),
            sections.ledgers(shown),
            sections.streams(page.results),
            sections.cells(shown, page.links, every),
            sections.left_out(
                [*not_done(page.runs), *((kind, 1, which, why) for kind, which, why in page.left_out)]
            ),
            _making(page),
        ),
        _data(page, shown, every),
        tag("script", script),
    )
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def shown_of(page: Page) -> Shown:
    """Return the page's frames, every column there, with what is computed from them."""
    lacking = [column for column in RESULT_COLUMNS if column not in page.runs]  # where no run has a result
    runs = page.runs.reindex(columns=[*page.runs.columns, *lacking])
    runs = runs if "scenario" in runs else runs.assign(scenario="")
    entrants = entrants_of(runs)
    look = looks([(e.label, e.strategy, e.family) for e in entrants])
    return Shown(runs, page.experiences, page.curves, page.matrices, entrants, contests(runs, entrants), look)


def entrants_of(runs: Any) -> list[Entrant]:
    """Return whom the runs compare, by family, within one in the registry's order; references come last."""
    places = {kind: k for k, kind in enumerate(KINDS)}
    rows = runs[["label", "strategy", "family"]].drop_duplicates("label")
    found = [
        Entrant(str(label), str(strategy), str(family) if isinstance(family, str) else "")
        for label, strategy, family in rows.itertuples(index=False)
    ]
    families = {family: k for k, family in enumerate(FAMILIES)}

    def order(e: Entrant) -> tuple[bool, int, int, str, str]:
        family = families.get(e.family, len(families))
        return (e.reference, family, places.get(e.strategy, len(places)), e.strategy, e.label)

    return sorted(found, key=order)


def not_done(runs: Any) -> list[tuple[str, int, str, str]]:
    """Return the cells without a result, seeds together: status, how many, which, and why."""
    rows = runs[runs["status"] != "done"].fillna({"budget_bytes": 0})
    found = []
    keys = ["status", "label", "scenario", "budget_bytes", "policy", "why"]
    for key, own in rows.groupby(keys, sort=False, dropna=False):
        status, label, scenario, budget, policy, why = key
        limit = (f", {scenario}" if scenario else "") + (f", {size(budget)}" if budget else "")
        seeds = ", ".join(str(seed) for seed in own["seed"])
        which = f"{label}{limit}, policy {policy}: {'seed' if len(own) == 1 else 'seeds'} {seeds}"
        found.append((str(status), len(own), which, str(why)))
    return found


def _tested(done: Sequence[Found]) -> int | None:
    """Return the samples that accuracy was measured on at the end, where it is one number for all streams."""
    streams = {run.result["stream"]["fingerprint"]: run for run in done if run.result is not None}
    found = set()
    for run in streams.values():
        try:
            *_, last = (run.path / LINES).read_text(encoding="utf-8").splitlines()
            found.add(sum(json.loads(last)["tested"][0]))
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            return None
    return found.pop() if len(found) == 1 else None


def _title(page: Page, found: Sequence[Contest]) -> Markup:
    runs = page.runs
    counts = runs["status"].value_counts()
    states = ", ".join(
        f"{counts[status]:,} {word}"
        for status, word in (("done", "done"), ("failed", "failed"), ("unfinished", "unfinished"),
                             ("impossible", "impossible"))
        if status in counts
    )  # fmt: skip
    listed = len(page.left_out) + int((runs["status"] != "done").sum())
    policies = ", ".join(dict.fromkeys(c.policy for c in found))
    facts = f"{product(runs)}; {states}"
    versions = ", ".join(sorted({str(v) for v in runs["cl_engine"].dropna()})) if "cl_engine" in runs else ""
    return tag(
        "header",
        tag("h1", page.title),
        tag(
            "p",
            facts,
            join("; ", tag("a", f"{listed} listed with reasons", href="#left-out")) if listed else None,
            f". Policy {policies}." if policies else ".",
            f" cl-engine {versions}." if versions else None,
            class_="facts",
        ),
        tag("p", tag("code", page.command), class_="facts") if page.command else None,
    )


def product(runs: Any) -> str:
    """Return how many cells there are, and of what product, where they are one.

    >>> import pandas as pd
    >>> runs = pd.DataFrame({"label": ["ncm", "ncm", "joint"], "seed": [0, 1, 0], "budget_bytes": [1.0, 1.0, None],
    ...     "policy": "full", "scenario": "", "cell": [1, 2, 3]})
    >>> product(runs), product(runs[1:])  # doctest: +NORMALIZE_WHITESPACE
    ('1 strategy × 1 budget × 2 seeds, and joint without a budget: 3 cells of 4, 1 excluded',
     '1 strategy × 1 budget × 1 seed, and joint without a budget: 2 cells')
    """
    limited = runs[runs["budget_bytes"].notna()]
    free = runs[~runs["label"].isin(limited["label"])] if len(limited) else runs[:0]
    within = runs.drop(free.index)
    columns = (
        ("label", "strategy", "strategies"),
        ("budget_bytes", "budget", None),
        ("policy", "policy", "policies"),
        ("scenario", "scenario", None),
        ("seed", "seed", None),
    )
    counts = {name: max(1, within[name].nunique()) for name, *_ in columns}
    sides = [
        _many(counts[name], one, more)
        for name, one, more in columns
        if counts[name] > 1 or name in ("label", "budget_bytes", "seed")
    ]
    text = TIMES.join(sides)
    whole = math.prod(counts.values())
    if len(free):
        whole += (
            free["label"].nunique()
            * math.prod(free[name].nunique() for name in ("policy", "scenario"))
            * counts["seed"]
        )
        names = [*dict.fromkeys(free["label"])]
        text += f", and {' and '.join(names) if len(names) < 3 else len(names)} without a budget"
    text += f": {_many(len(runs), 'cell')}"
    cells = runs["cell"].dropna()
    if len(runs) < whole and cells.is_unique and len(cells) in (0, len(runs)):  # one sweep, or runs of none
        text += f" of {whole:,}, {whole - len(runs):,} {'excluded' if len(cells) else 'missing'}"
    return text


def _answer(page: Page, found: Sequence[Contest]) -> Markup:
    paragraphs = []
    for heading, sentences in answer.answer(found, page.runs, page.tested):
        title = tag("h3", heading) if heading else None
        kind = "sure" if heading == "How sure" else "changes" if heading == "Policies" else None
        paragraphs.append(tag("div", title, *(tag("p", sentence) for sentence in sentences), class_=kind))
    if not paragraphs:
        paragraphs = [tag("p", "No run finished, so there is nothing to compare.")]
    return tag("section", tag("h2", "Answer"), *paragraphs, class_="answer", id="answer")


def _bar(shown: Shown) -> Markup:
    found, look = shown.contests, shown.looks
    policies = list(dict.fromkeys(c.policy for c in found))
    budgets = sorted({b for c in found for b in c.budgets})
    metric = [_switch("metric", key, key.removesuffix("_accuracy")) for key in METRICS]
    policy = [_switch("policy", key, key) for key in (["both", *policies] if len(policies) > 1 else [])]
    chips: dict[str, list[Markup]] = {}
    for i, (label, entry) in enumerate(look.items()):
        name = tag("span", entry.family.replace("_", " "), class_="family")
        chip = tag("button", swatch(i), label, type="button", data_chip=True, value=i, aria_pressed="true")
        chips.setdefault(entry.family, [name]).append(chip)
    groups = [tag("span", *own, class_="of") for own in chips.values()]
    tasks = [tag("option", name, value=name) for name in shown.drawn_scenarios]
    options = [tag("option", size(b) if b else "no budget", value=b, selected=b == budgets[-1]) for b in budgets]
    return tag(
        "nav",
        tag("fieldset", tag("legend", "metric"), *metric),
        tag("fieldset", tag("legend", "policy"), *policy) if policy else None,
        tag("label", "budget ", tag("select", *options, id="budget")) if len(options) > 1 else None,
        tag("label", "scenario ", tag("select", *tasks, id="scenario")) if len(tasks) > 1 else None,
        tag("fieldset", tag("legend", "show"), *groups, class_="chips"),
        tag("button", "show all", type="button", id="everything"),
        tag("button", "light / dark", type="button", id="theme"),
        class_="bar",
        aria_label="What is shown",
    )


def _switch(what: str, value: str, text: str) -> Markup:
    return tag("button", text, type="button", data_set=what, value=value, aria_pressed="false")


def _making(page: Page) -> Markup:
    messages = {str(note) for r in page.results.values() for note in r.get("notes", ())}
    return tag(
        "section",
        tag("h2", "How this was made"),
        making.notes(),
        tag("h3", "Versions and streams"),
        making.versions(page.runs, page.results),
        join(tag("h3", "Notes of the runs"), tag("ul", *(tag("li", m) for m in sorted(messages))))
        if messages
        else None,
        tag("h3", "Configurations"),
        making.configurations(page.results),
        tag("details", tag("summary", "To cite the comparison by memory"), tag("pre", making.BIBTEX)),
        id="making",
    )


def _data(page: Page, shown: Shown, every: bool) -> Markup:
    found, places = shown.contests, shown.places
    budgets = sorted({b for c in found for b in c.budgets})
    pairs, verdicts = pair_data(found, places)
    view = {
        "labels": list(places),
        "metrics": list(METRICS),
        "policies": list(dict.fromkeys(c.policy for c in found)),
        "budgets": {str(b): size(b) for b in budgets if b},
        "budget": budgets[-1] if budgets else 0,
        "scenario": shown.drawn_scenarios[0],
        "pairs": pairs,
        "verdicts": verdicts,
    }
    raw: dict[str, Any] = {"schema": 1}
    if every:
        raw["runs"] = making.records(page.runs)
    if len(page.runs) <= FULL_DATA and len(page.experiences):
        columns = ["run", "experience", "accuracy", "held_bytes", "paper_bytes"]
        raw["experiences"] = making.records(page.experiences[columns])
    return join(json_block(view, id="page-data"), json_block(raw, id="results"))


def _many(n: int, one: str, more: str | None = None) -> str:
    return f"{n:,} {one if n == 1 else more or one + 's'}"
