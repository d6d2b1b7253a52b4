"""A compatibility matrix as text, and as a page with a heat map on which failures are marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cl_engine.metrics.compatibility import failures
from cl_engine.reports.page.markup import Markup, join, tag
from cl_engine.reports.text import aligned

NAMES = {
    "average_compatibility": ("AC", "share of cross-tests above the older model's self-test; a tie fails"),
    "average_compatibility_ties_pass": ("AC, ties pass", "the same where a tie passes"),
    "average_cross_accuracy": ("AA", "mean of all self- and cross-tests"),
    "backward_compatibility": ("BC", "last model in each old gallery, minus the old model's self-test; mean"),
    "forward_compatibility": ("FC", "each model in the gallery before its own, minus its self-test; mean"),
}
MAPPED = "Older galleries went through a map ({kind}) fitted on {pairs} of their images."
MARKED = "A cross-test that is not above the older model's self-test is marked by !."
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
table{border-collapse:collapse}td,th{padding:.3rem .6rem;text-align:right;font-variant-numeric:tabular-nums}
th[scope=row],.words td:last-child{text-align:left}
.map td{border:2px solid #fff;background:color-mix(in srgb,#274c7a calc(var(--a)*.5),#fff);
print-color-adjust:exact}.map .self{font-weight:700}.map .fails{outline:2px solid #d5342d;outline-offset:-3px}
.wrap{overflow-x:auto}"""


def compatibility_text(found: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the matrix in percent, failures marked, and what follows from it.

    Args:
        found: ``matrix``, the metrics of :func:`cl_engine.metrics.compatibility_metrics`, and ``map`` if there was
            one.
        names: of the models.
    """
    matrix, failed = found["matrix"], {*failures(found["matrix"])}
    rows = [["queries by", *(f"gallery {k + 1}  " for k in range(len(matrix)))]]
    for t, (row, name) in enumerate(zip(matrix, names, strict=True)):
        cells = [f"{100 * a:.2f}{' !' if (t, k) in failed else '  '}" for k, a in enumerate(row)]
        rows.append([f"{t + 1}  {name}", *cells, *[""] * (len(matrix) - len(row))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    table = [["metric", "value", "what it is"]]
    table += [[short, _value(found[key]), what] for key, (short, what) in NAMES.items()]
    return "\n".join([*lines, "", f"Percent. {_words(found)}", "", aligned(table)])


def heat_map(matrix: Sequence[Sequence[float]], names: Sequence[str]) -> Markup:
    """Return the matrix as a table: darker is better, a failure has a frame and says so."""
    failed = {*failures(matrix)}
    columns = [tag("th", f"gallery {k + 1}", scope="col") for k in range(len(matrix))]
    body = []
    for t, row in enumerate(matrix):
        cells = [
            tag(
                "td",
                f"{100 * a:.1f}{' !' if (t, k) in failed else ''}",
                style=f"--a:{100 * a:.0f}%",
                class_="fails" if (t, k) in failed else "self" if t == k else None,
                title=f"not above {100 * matrix[k][k]:.1f}" if (t, k) in failed else None,
            )
            for k, a in enumerate(row)
        ]
        body.append(tag("tr", tag("th", f"{t + 1}  {names[t]}", scope="row"), *cells))
    head = tag("thead", tag("tr", tag("th", "queries by", scope="col"), *columns))
    return tag("div", tag("table", head, tag("tbody", *body), class_="map"), class_="wrap", tabindex="0")


def write_compatibility(found: Mapping[str, Any], names: Sequence[str], file: Path) -> None:
    """Write a page that loads nothing; ``found`` is what :func:`compatibility_text` takes, and ``protocol``.

    Raises:
        OSError: it cannot be written.
    """
    rows = [
        tag("tr", tag("th", short, scope="row"), tag("td", _value(found[key])), tag("td", what))
        for key, (short, what) in NAMES.items()
    ]
    body = tag(
        "body",
        tag("h1", "Compatibility of model versions"),
        tag("p", f"Protocol {found['protocol']}; percent. {_words(found)}"),
        heat_map(found["matrix"], names),
        tag("h2", "Metrics"),
        tag("table", *rows, class_="words"),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("title", "Compatibility of model versions"),
        tag("style", Markup(STYLE)),
    )
    page = join(Markup("<!doctype html>"), tag("html", head, body, lang="en"))
    file.write_text(page, encoding="utf-8")


def _words(found: Mapping[str, Any]) -> str:
    return f"{MAPPED.format(**found['map'])} {MARKED}" if "map" in found else MARKED


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
