"""The sections of the page, each a heading with what belongs under it.

What depends on metric, policy or budget carries it as ``data-...``; without a script everything is there to read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cl_engine.reports.page import compatible, drawn, tables, whole_range
from cl_engine.reports.page import diagnostics as charts
from cl_engine.reports.page import matrices as matrix_tables
from cl_engine.reports.page.across import across
from cl_engine.reports.page.answer import policies as policy_words
from cl_engine.reports.page.charts import curves as curve_charts
from cl_engine.reports.page.charts import ledger as ledger_charts
from cl_engine.reports.page.charts.drawing import COLOURS, svg
from cl_engine.reports.page.charts.stream import stream as stream_chart
from cl_engine.reports.page.contest import METRICS, Contest
from cl_engine.reports.page.drawn import Shown, limit, with_cells
from cl_engine.reports.page.markup import Markup, join, table, tag
from cl_engine.reports.text import size

CELLS = 2_000  # cells up to which each has a row
SIDE_BY_SIDE = 5  # columns of rankings up to which two have room beside each other
ROWS = 400  # of what was observed after each experience
STREAMS = 4  # streams that are drawn; all but the first are folded


def curves(shown: Shown) -> Markup:
    """Return the accuracy-memory curves, and the same points over the bytes held."""
    sides = [_of(c, _curve(shown, c)) for c in shown.contests if c.budgets != [0]]
    views = [_of(c, _sides(_paretos(shown, c))) for c in shown.contests]
    both = bool(sides)
    return _section(
        "curves",
        "Accuracy and memory",
        tag(
            "div",
            tag("button", "by budget", type="button", value="budget"),
            tag("button", "by bytes held (Pareto)", type="button", value="held"),
            class_="tabs",
        )
        if both
        else None,
        tag("div", _sides(sides), data_view="budget" if both else None) if both else None,
        tag(
            "div",
            tag("h3", "By bytes held"),
            tag(
                "p",
                "Filled: on the front, nothing holds no more and is no worse. Open: nothing that holds as "
                "little is significantly above. Small: beaten.",
                class_="note",
            ),
            _sides(views),
            data_view="held" if both else None,
        ),
    )


def rankings(shown: Shown) -> Markup:
    """Return the ranking within each budget, the policies side by side."""
    notes = []
    for metric in METRICS:
        own = [c for c in shown.contests if c.metric == metric]
        for other in own[1:]:
            name = tag("b", f"{METRICS[metric].capitalize()}. ")
            sentences = [tag("p", None if k else name, text) for k, text in enumerate(policy_words(own[0], other))]
            notes.append(tag("div", *sentences, class_="changes", data_metric=metric) if sentences else None)
    sides = [_of(c, tables.ranking(c, shown.places)) for c in shown.contests]
    broad = any(len(c.columns) > SIDE_BY_SIDE for c in shown.contests)
    return _section(
        "ranking", "Ranking within each budget", *notes, _sides(sides, "broad" if broad else "rankings")
    )


def scenarios(shown: Shown) -> Markup | None:
    """Return the comparison over several scenarios beside that in each, where there are several."""
    if len(shown.scenarios) < 2:
        return None
    sides = []
    for contest in shown.contests:
        drawings = {
            budget: _figure(words, svg(spec, f"Chart: {words} Its numbers are below"), fit=True)
            for budget, words, spec in drawn.grids(shown, contest)
        }
        for budget in contest.budgets:
            found = across(shown.runs, contest, budget)
            content = tables.across(found, contest, budget, shown.alone(contest), shown.places)
            chosen = {"data_metric": contest.metric, "data_policy": contest.policy, "data_budget": budget}
            sides.append(tag("div", drawings.get(budget), content, **chosen))
    note = (
        "Accuracies in the other sections are means over all scenarios, of the seeds that have them all; what "
        "follows a stream, below, is of the scenario chosen."
    )
    return _section("scenarios", "Scenario by scenario", tag("p", note, class_="note"), _sides(sides, "tables"))


def areas(shown: Shown) -> Markup | None:
    """Return the areas under the curves, where there is more than one budget."""
    sides = []
    for contest in shown.contests:
        if found := whole_range.areas_of(contest):
            sides.append(_of(contest, tables.areas(found, contest, shown.places)))
    return _section("areas", "Over the whole range", _sides(sides, "tables")) if sides else None


def crossings(shown: Shown) -> Markup | None:
    """Return where curves cross."""
    sides = []
    for contest in shown.contests:
        if found := whole_range.crossings_of(contest):
            sides.append(_of(contest, tables.crossings(found, contest, shown.places)))
    return _section("crossings", "Crossing budgets", _sides(sides)) if sides else None


def differences(shown: Shown) -> Markup | None:
    """Return paired differences: to the leader of each budget, or to whom a reader picks."""
    parts = []
    for k, contest in enumerate(shown.contests):
        static = []
        for budget in contest.budgets:
            leader = contest.leader(budget)
            if leader and contest.pairs[budget]:
                static.append(
                    tag("div", tables.differences(contest, budget, leader, shown.places), data_budget=budget)
                )
        if static:
            parts.append(
                _of(
                    contest,
                    tag("div", *static, class_="static"),
                    tag("div", class_="picked"),
                    also="pairs",
                    place=k,
                )
            )
    if not parts:
        return None
    options = [tag("option", "the leader", value="")]
    ranked = {e.label for c in shown.contests for e in c.ranked}
    options += [tag("option", label, value=i) for label, i in shown.places.items() if label in ranked]
    pick = tag("p", tag("label", "Compare with ", tag("select", *options, id="against")), class_="tool")
    return _section("differences", "Paired differences", pick, _sides(parts))


def over_experiences(shown: Shown) -> Markup | None:
    """Return accuracy after each experience, and over samples where a stream was evaluated more often."""
    if not len(shown.experiences):
        return None
    frame = with_cells(shown, shown.experiences)
    parts = _lines_by_budget(shown, frame, "experience", "experience")
    online = drawn.samples_of(shown)
    samples = [] if online is None else _lines_by_budget(shown, online, "samples", "samples delivered")
    return _section(
        "experiences",
        "While the stream goes on",
        tag("p", "Mean over seeds of the accuracy on all classes seen so far.", class_="note"),
        _sides(parts),
        join(tag("h3", "Over samples"), _sides(samples)) if samples else None,
    )


def matrices(shown: Shown) -> Markup | None:
    """Return the accuracy matrix of one run of each strategy, folded."""
    if not len(shown.matrices):
        return None
    done = shown.runs[shown.runs["status"] == "done"].sort_values("seed")
    by_run = dict(tuple(shown.matrices.groupby("run")))
    parts: list[Markup] = []
    for (task, policy, budget), rows in _by_task(shown, done):
        blocks = []
        for label, i in shown.places.items():
            own = rows[rows["label"] == label]
            if not len(own) or own.iloc[0]["run"] not in by_run:
                continue
            first = own.iloc[0]
            found = by_run[first["run"]]
            title = f"{label}, seed {int(first['seed'])}"
            blocks.append(tag("div", matrix_tables.matrix(found, title), class_="strategy", data_s=i))
        if blocks:
            grid = tag("div", *blocks, class_="grid")
            title = f"{limit(budget)}, policy {policy}" if len(shown.policies) > 1 else limit(budget)
            summary = tag("summary", f"Matrices: {title}{f', {task}' if task else ''}")
            switches = {"data_policy": policy, "data_budget": budget, "data_scenario": task or None}
            parts.append(tag("details", summary, grid, class_="screen", **switches))
    note = "Percent after experience k (row) on the classes first seen in experience j (column); the first seed."
    return (
        _section("matrices", "Accuracy matrices", tag("p", note, class_="note"), *parts, kind="screen")
        if parts
        else None
    )


def ledgers(shown: Shown) -> Markup | None:
    """Return what is held by kind after each experience, and beside it what existed only while training."""
    if not len(shown.experiences):
        return None
    kinds = ledger_charts.kinds_of(shown.experiences)
    by_policy: dict[str, list[Markup]] = {}
    for task, policy, label, spec in drawn.ledgers(shown):
        words = f"Bytes held by {label} after each experience, policy {policy}"
        title = f"{label}, policy {policy}" if len(shown.policies) > 1 else label
        title += f", {task}" if task else ""
        figure = tag("div", _figure(title, svg(spec, words)), class_="strategy", data_s=shown.places[label])
        figure = tag("div", figure, data_scenario=task) if task else figure
        by_policy.setdefault(policy, []).append(figure)
    parts = [tag("div", *drawings, data_policy=policy) for policy, drawings in by_policy.items()]
    keys = [_key(f"var(--k{k % COLOURS})", kind) for k, kind in enumerate(kinds)]
    keys.append(_key("var(--peak)", "only while training (peak)"))
    note = "Mean over seeds, after each experience; the dashed line is the budget."
    return _section(
        "ledger",
        "What is held, by kind",
        tag("p", note, class_="note"),
        tag("div", *keys, class_="keys"),
        _sides(parts),
        _ledger_table(shown, with_cells(shown, shown.experiences), [f"held.{kind}" for kind in kinds]),
    )


def diagnostics(shown: Shown, results: Mapping[str, Mapping[str, Any]]) -> Markup | None:
    """Return what analyses and probes found, where there were any."""
    parts = _of_strategies(shown, charts.diagnosed(shown, results))
    if not parts:
        return None
    note = "What was looked at in the network, and never by the strategy; mean over seeds."
    table = _observed_table(shown, charts.columns_of(shown.experiences))
    return _noted("diagnostics", "Inside the network", note, parts, table)


def compatibility(shown: Shown, results: Mapping[str, Mapping[str, Any]]) -> Markup | None:
    """Return whether later models can search what earlier ones embedded, where that was measured."""
    parts = _of_strategies(shown, compatible.compared(shown, results))
    if not parts:
        return None
    note = (
        "Classes that no model is trained on; the first seed. A frame and !: a cross-test that is not above the "
        "older model's self-test. =: in the mean, queries are farther from the old vectors of their class than the "
        "old model's queries; \u2260: they are nearer to those of other classes."
    )
    table = _end_table(shown, results, compatible.COMPARED, "At the end, mean over seeds; AC, ties fail.")
    return _noted("compatibility", "What later models can search", note, parts, table)


def service(shown: Shown, results: Mapping[str, Mapping[str, Any]]) -> Markup | None:
    """Return what a service gave and cost while models replaced each other, where one was watched."""
    parts = _of_strategies(shown, compatible.served(shown, results))
    if not parts:
        return None
    note = (
        "Accuracy of the nearest vector, beside that if every model had embedded everything at once; bytes of all "
        "vectors; operations of renewal so far. Vertical lines: a model comes; dashed: queries go to it. The first "
        "seed."
    )
    table = _end_table(shown, results, compatible.SERVED, "Over the whole time, mean over seeds.")
    return _noted("service", "A service over time", note, parts, table)


def streams(results: Mapping[str, Mapping[str, Any]]) -> Markup | None:
    """Return each stream once, by its fingerprint."""
    known = {str(r["stream"]["fingerprint"]): r["stream"] for r in results.values()}
    parts: list[Markup] = []
    for fingerprint, stream in known.items():
        experiences = stream["experiences"]
        counts = [int(e["samples"]) for e in experiences]
        facts = (
            f"{stream['kind']}: {sum(counts):,} samples in {len(counts)} experiences of {_range(counts)}, "
            f"{len({c for e in experiences for c in e['new_classes']})} classes; "
            f"{stream.get('dropped_samples', 0):,} samples never delivered."
        )
        notes = [tag("p", f"Note: {note}", class_="note") for note in stream.get("notes", ())]
        code = tag("p", "Fingerprint ", tag("code", fingerprint), class_="note")
        picture = None
        if len(parts) < STREAMS:
            drawn = svg(
                stream_chart(experiences), f"Chart: classes and samples by experience, stream {fingerprint[:12]}"
            )
            picture = _figure(
                "Samples of each experience, and the classes they come from; dark: for the first time.", drawn
            )
        parts.append(tag("div", tag("p", facts), code, *notes, picture))
    if len(parts) > 1:
        more = tag(
            "details",
            tag("summary", f"{len(parts) - 1} more {'stream' if len(parts) == 2 else 'streams'}"),
            *parts[1:],
        )
        parts = [parts[0], more]
    return _section("stream", "The stream", *parts) if parts else None


def cells(shown: Shown, links: Mapping[str, str], every: bool) -> Markup:
    """Return every cell, or where those are too many for a page what they come to over seeds."""
    find = tag(
        "p",
        tag("label", "Only rows with all of these words: ", tag("input", type="search", id="filter", size=28)),
        " ",
        tag("span", id="filtered", role="status"),
        class_="tool",
    )
    note = f"{len(shown.runs):,} cells as means over seeds; `--cells all` lists each, and so does `--tables`."
    rows = tables.cells(shown.runs, links, shown.places) if every else tables.groups(shown.runs, shown.places)
    whole = tag("div", None if every else tag("p", note, class_="note"), find, rows, class_="screen")
    return _section("all-cells", "All cells", whole, kind="screen")


def left_out(items: Sequence[tuple[str, int, str, str]]) -> Markup:
    """Return what is not in the comparison (what, how many cells, which, why), equal reasons folded."""
    folded: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for kind, cells, which, why in items:
        folded.setdefault((kind, why), []).append((cells, which))
    rows = [
        (kind, sum(n for n, _ in own), "; ".join(which for _, which in own), why)
        for (kind, why), own in folded.items()
    ]
    content = tables.lines(rows) if rows else tag("p", "Nothing: every cell of the sweep is in the comparison.")
    return _section("left-out", "Failed, impossible, left out", content)


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts, default=0), max(counts, default=0)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _section(name: str, title: str, *content: object, kind: str | None = None) -> Markup:
    return tag("section", tag("h2", title), *content, id=name, class_=kind)


def _noted(name: str, title: str, note: str, parts: Iterable[Markup], table: Markup | None) -> Markup:
    return _section(name, title, tag("p", note, class_="note"), _sides(parts), table)


def _of(contest: Contest, *content: object, also: str | None = None, place: int | None = None) -> Markup:
    """Return what belongs to one policy and one metric."""
    title = tag("h3", f"{METRICS[contest.metric].capitalize()}, policy {contest.policy}")
    return tag(
        "div",
        title,
        *content,
        data_metric=contest.metric,
        data_policy=contest.policy,
        data_contest=place,
        class_=also,
    )


def _sides(parts: Iterable[Markup], also: str = "") -> Markup:
    return tag("div", *parts, class_=f"sides {also}".strip())


def _figure(title: str, wide: Markup, narrow: Markup | None = None, fit: bool = False) -> Markup:
    return tag(
        "figure",
        tag("figcaption", title),
        tag("div", wide, class_="wrap wide"),
        tag("div", narrow, class_="wrap narrow") if narrow else None,
        tabindex="0",
        class_="fit" if fit else None,
    )


def _key(colour: str, name: str) -> Markup:
    return tag("span", tag("i", class_="sw", style=f"background:{colour}"), name)


def _curve(shown: Shown, contest: Contest) -> Markup:
    words = f"Chart: {METRICS[contest.metric]} over the budget, policy {contest.policy}; its numbers are below"
    wide, narrow = (
        svg(curve_charts.curves(contest, shown.looks, plot), words) for plot in (shown.plot, curve_charts.NARROW)
    )
    return _figure(drawn.curve_words(shown, contest), wide, narrow, fit=True)


def _paretos(shown: Shown, contest: Contest) -> list[Markup]:
    return [
        _figure(title, svg(spec, f"Chart: {title}"), fit=True) for _, title, spec in drawn.paretos(shown, contest)
    ]


def _lines_by_budget(shown: Shown, frame: Any, along: str, title: str) -> list[Markup]:
    return [
        tag(
            "div",
            _figure(words, svg(spec, f"Chart: accuracy {words[0].lower()}{words[1:-1]}"), fit=True),
            data_policy=policy,
            data_budget=budget,
            data_scenario=task or None,
        )
        for task, policy, budget, words, spec in drawn.lines_by_budget(shown, frame, along, title)
    ]


def _of_strategies(shown: Shown, found: Iterable[charts.Diagnosed]) -> list[Markup]:
    """Return charts that belong to one strategy, policy, budget and scenario each."""
    return [
        tag(
            "div",
            _figure(one.words, svg(one.spec, f"Chart: {one.words}"), fit=True),
            class_="strategy",
            data_s=shown.places[one.label],
            data_policy=one.policy,
            data_budget=one.budget,
            data_scenario=one.scenario or None,
        )
        for one in found
        if one.label in shown.places
    ]


def _by_task(shown: Shown, runs: Any) -> Iterable[tuple[tuple[str, str, int], Any]]:
    frame = runs.assign(_budget=runs["budget_bytes"].fillna(0).astype("int64"))
    for task in shown.drawn_scenarios:
        for (policy, budget), rows in frame[frame["scenario"] == task].groupby(["policy", "_budget"]):
            yield (task, str(policy), int(budget)), rows


def _observed_table(shown: Shown, columns: Sequence[str]) -> Markup | None:
    if not columns:
        return None
    frame = with_cells(shown, shown.experiences)
    keys = ["label", "scenario", "policy", "budget", "experience"]
    means = frame.groupby(keys, sort=False)[list(columns)].mean().dropna(how="all")
    rows: list[list[object]] = []
    for key, values in means.iterrows():
        label, task, policy, budget, experience = key
        name = tables.name_of(label, shown.places)
        cells = [_number(float(v)) for v in values]
        rows.append([name, task, policy, limit(int(budget)), tag("td", experience, class_="n"), *cells])
    heading = ["strategy", "scenario", "policy", "budget", "experience", *(c.replace("_", " ") for c in columns)]
    drawn = table(heading, rows[:ROWS], "After each experience, mean over seeds.")
    more = f"; {len(rows) - ROWS:,} more rows in `--tables`" if len(rows) > ROWS else ""
    return tag("details", tag("summary", f"The same as a table{more}"), drawn, class_="screen")


def _end_table(
    shown: Shown, results: Mapping[str, Mapping[str, Any]], columns: Sequence[compatible.Column], caption: str
) -> Markup:
    rows: list[list[object]] = []
    for (label, task, policy, budget), means in compatible.means(shown, results, columns).items():
        cells = [_number(math.nan if value is None else value) for value in means]
        rows.append([tables.name_of(label, shown.places), task, policy, limit(budget), *cells])
    heading = ["strategy", "scenario", "policy", "budget", *(column.title for column in columns)]
    drawn = table(heading, rows[:ROWS], caption)
    return tag("details", tag("summary", "The same as a table"), drawn, class_="screen")


def _number(value: float) -> Markup:
    return tag("td", f"{value:.4g}" if math.isfinite(value) else tables.DASH, class_="n")


def _ledger_table(shown: Shown, frame: Any, columns: Sequence[str]) -> Markup:
    last = frame.fillna(dict.fromkeys(columns, 0.0)).sort_values("experience").groupby("run").tail(1)
    keys = ["policy", "label", "scenario", "budget"]
    means = last.groupby(keys, sort=False)[list(columns)].mean()
    peaks = frame.groupby(keys, sort=False)["peak"].max()
    rows: list[list[object]] = []
    for key, held in means.iterrows():
        policy, label, task, budget = key
        amounts = [float(v) for v in held]
        cells = [_amount(v) for v in [*amounts, math.fsum(amounts), float(peaks[key])]]
        tasks = [task] if len(shown.scenarios) > 1 else []
        rows.append([tables.name_of(label, shown.places), *tasks, policy, limit(int(budget)), *cells])
    heading: list[object] = [
        "strategy", *(["scenario"] if len(shown.scenarios) > 1 else []), "policy", "budget",
        *(c.removeprefix("held.") for c in columns), "in all", "training peak",
    ]  # fmt: skip
    drawn = table(heading, rows, "Held at the end by kind, mean over seeds; the largest training peak.")
    return tag("details", tag("summary", "The same as a table"), drawn, class_="screen")


def _amount(value: float) -> Markup:
    return tag("td", size(value), class_="n", data_v=repr(value))
