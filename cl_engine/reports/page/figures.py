"""The page's charts as files for papers and slides: SVG, PDF and Vega-Lite, with the colours of light paper."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_engine.errors import InputError
from cl_engine.reports.page import compatible, drawn, whole_range
from cl_engine.reports.page.charts import auc as auc_chart
from cl_engine.reports.page.charts import curves as curve_charts
from cl_engine.reports.page.charts import ledger as ledger_charts
from cl_engine.reports.page.charts.drawing import CONFIG, ROOM, VEGA_LITE, Spec
from cl_engine.reports.page.charts.stream import stream as stream_chart
from cl_engine.reports.page.diagnostics import Diagnosed, diagnosed
from cl_engine.reports.page.drawn import Shown
from cl_engine.reports.page.page import Page, page_of, shown_of
from cl_engine.reports.page.palette import Look, style
from cl_engine.reports.page.sections import STREAMS
from cl_engine.reports.results import Results, read_results
from cl_engine.reports.text import size, slug, untaken

if TYPE_CHECKING:
    import altair

SCHEMA = f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE}.0.json"
COLUMN, TEXT = 84, 174  # mm: one column of a journal, and both
NARROW = 400  # pixels up to which a figure fits one column
PER_MM = {"mm": 1.0, "pt": 72 / 25.4}
METRICS = {"average": "average_accuracy", "last": "last_accuracy"}


class NoFigureError(InputError):
    """These results have no such figure."""


def write_figures(page: Page, folder: Path) -> list[Path]:
    """Write every figure as NAME.svg, NAME.pdf and NAME.vl.json, 84 or 174 mm wide, and return their paths.

    The same page gives the same SVG and JSON, byte by byte; those of a PDF differ each time.

    Raises:
        OSError: the folder cannot be written.
    """
    import vl_convert

    written = []
    for name, spec in figures_of(page).items():
        text = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)
        contents = {
            "svg": _sized(text, "mm").encode("utf-8"),
            "pdf": vl_convert.svg_to_pdf(_sized(text, "pt")),
            "vl.json": (json.dumps(spec, ensure_ascii=False, indent=1) + "\n").encode("utf-8"),
        }
        for suffix, content in contents.items():
            path = folder / f"{name}.{suffix}"
            path.write_bytes(content)
            written.append(path)
    return written


def plot(results: Results | str | Path, what: str = "curves-average") -> altair.Chart:
    """Return one figure of a sweep as an Altair chart, to look at in a notebook or to change.

    Args:
        results: what :func:`cl_engine.sweep` returned, or the folder of a sweep or of runs.
        what: name of the figure, as ``cl-engine report DIR --figures FOLDER`` calls its files.

    Raises:
        NoFigureError: there is no such figure.
        NoResultsError: the folder holds no run.
    """
    import altair

    found = results if isinstance(results, Results) else read_results(results)
    figures = figures_of(page_of(found, found.title, Path()))
    if what not in figures:
        raise NoFigureError(
            f"figure {what!r}: there is none; allowed: {', '.join(figures) or 'none, no run is done'}"
        )
    chart: altair.Chart = altair.Chart.from_dict(figures[what])
    return chart


def figures_of(page: Page) -> dict[str, Spec]:
    """Return the Vega-Lite specification of every figure by name, complete in itself, on white.

    What stands for the first policy has the bare name; another policy, a budget or a strategy is in the name.
    """
    shown = shown_of(page)
    colours = _colours(shown.looks.values())
    found: dict[str, Spec] = {}
    for name, words, spec in _figures(shown, page.results):
        head = {"$schema": SCHEMA, "description": words, "background": "white"}
        own = {key: value for key, value in CONFIG.items() if key != "background"}
        found[untaken(name, found)] = {**head, **_concrete({"config": own, **spec}, colours)}
    return found


def _figures(shown: Shown, results: Any) -> Iterator[tuple[str, str, Spec]]:
    """Yield name, caption and specification."""
    for short, metric in METRICS.items():
        for contest in (c for c in shown.contests if c.metric == metric):
            policy = _other(shown, contest.policy)
            if contest.budgets != [0] and contest.standings:
                spec = curve_charts.curves(contest, shown.looks)
                yield f"curves-{short}{policy}", drawn.curve_words(shown, contest), spec
    for short, metric in METRICS.items():
        for contest in (c for c in shown.contests if c.metric == metric):
            for counted, words, spec in drawn.paretos(shown, contest):
                tail = "" if short == "average" else f"-{short}"
                yield f"pareto{tail}{_other(shown, counted)}", words, spec
    for short, metric in METRICS.items():
        for contest in (c for c in shown.contests if c.metric == metric):
            areas = whole_range.areas_of(contest)
            if any(area.complete and area.estimates for area in areas.values()):
                tail = "" if short == "average" else f"-{short}"
                words = f"Mean height of the curves of {metric.replace('_', ' ')}, policy {contest.policy}, "
                words += "over linear and log budgets, with 95 % t intervals over seeds."
                yield f"auc{tail}{_other(shown, contest.policy)}", words, auc_chart.auc(areas, shown.looks, metric)
    for short, metric in METRICS.items():
        for contest in (c for c in shown.contests if c.metric == metric):
            for budget, words, spec in drawn.grids(shown, contest):
                within = size(budget).replace(" ", "") if budget else "no-budget"
                yield f"scenarios-{short}-{within}{_other(shown, contest.policy)}", words, spec
    if len(shown.experiences):
        yield from _along(shown, drawn.with_cells(shown, shown.experiences), "experience", "experience")
        if (samples := drawn.samples_of(shown)) is not None:
            yield from _along(shown, samples, "samples", "samples delivered")
        yield from _ledgers(shown)
        yield from _named(shown, diagnosed(shown, results))
        yield from _named(shown, [*compatible.compared(shown, results), *compatible.served(shown, results)])
    streams = {str(result["stream"]["fingerprint"]): result["stream"] for result in results.values()}
    for fingerprint, stream in [*streams.items()][:STREAMS]:
        words = f"Samples and classes of each experience, stream {fingerprint[:12]}; dark: for the first time."
        yield "stream", words, stream_chart(stream["experiences"])


def _along(shown: Shown, frame: Any, along: str, title: str) -> Iterator[tuple[str, str, Spec]]:
    for task, policy, budget, words, spec in drawn.lines_by_budget(shown, frame, along, title):
        limit = size(budget).replace(" ", "") if budget else "no-budget"
        plural = "samples" if along == "samples" else "experiences"
        yield f"{plural}-{limit}{_other(shown, policy)}{_task(task)}", words, spec


def _named(shown: Shown, charts: Iterable[Diagnosed]) -> Iterator[tuple[str, str, Spec]]:
    """Yield charts of single strategies, the budget in the name where there is one."""
    for found in charts:
        limit = f"-{size(found.budget).replace(' ', '')}" if found.budget else ""
        name = f"{found.what}-{slug(found.label)}{limit}{_other(shown, found.policy)}{_task(found.scenario)}"
        yield name, found.words, found.spec


def _ledgers(shown: Shown) -> Iterator[tuple[str, str, Spec]]:
    """Yield each strategy's ledger, its kinds named below."""
    kinds = ledger_charts.kinds_of(shown.experiences)
    frame = drawn.with_cells(shown, shown.experiences)
    for task, policy, label, spec in drawn.ledgers(shown):
        words = (
            f"Bytes held by {label} after each experience, policy {policy}; mean over seeds; dashed: the budget."
        )
        own = ledger_charts.kinds_of(frame[frame["label"] == label])
        both = {"vconcat": [spec, ledger_charts.key(own, kinds)], "spacing": 8, "padding": ROOM}
        yield f"ledger-{slug(label)}{_other(shown, policy)}{_task(task)}", words, both


def _task(scenario: str) -> str:
    return f"-{slug(scenario)}" if scenario else ""


def _other(shown: Shown, policy: str) -> str:
    return "" if policy == shown.policies[0] else f"-{slug(policy)}"


def _colours(looks: Iterable[Look]) -> dict[str, str]:
    """Return the value of each colour on light paper, from the page's own style."""
    sheet = (files(__package__) / "style.css").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for text in (sheet, style(looks)):
        (light,) = re.findall(r"(?:^|\}):root\{([^}]*)\}", text, re.S)[:1]
        found.update(re.findall(r"--([a-z0-9]+):\s*(#[0-9a-f]{6})", light))
    return found


def _concrete(node: Any, colours: dict[str, str]) -> Any:
    """Return a part of a specification with values for variables; data, which may hold any name, as it is."""
    if isinstance(node, dict):
        return {key: value if key == "data" else _concrete(value, colours) for key, value in node.items()}
    if isinstance(node, list):
        return [_concrete(value, colours) for value in node]
    if isinstance(node, str) and (variable := re.fullmatch(r"var\(--([a-z0-9]+)\)", node)):
        return colours[variable[1]]
    return node


def _sized(svg: str, unit: str) -> str:
    """Return a drawing with its print size; points, which a PDF counts in, stand without their unit."""

    def sizes(found: re.Match[str]) -> str:
        wide, high = float(found[1]), float(found[2])
        width = (COLUMN if wide <= NARROW else TEXT) * PER_MM[unit]
        name = "mm" if unit == "mm" else ""
        return f'width="{width:.2f}{name}" height="{width * high / wide:.2f}{name}" viewBox='

    return re.sub(r'width="([\d.]+)" height="([\d.]+)" viewBox=', sizes, svg, count=1)
