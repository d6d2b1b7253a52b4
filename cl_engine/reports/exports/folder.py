"""All tables of some results, as files."""

from __future__ import annotations

from pathlib import Path

from cl_engine.reports.exports.aggregates import pairs, summary
from cl_engine.reports.exports.files import to_csv
from cl_engine.reports.exports.latex import latex_table
from cl_engine.reports.exports.markdown import markdown_table
from cl_engine.reports.results import Results

METRICS = ("average_accuracy", "last_accuracy")


def write_tables(results: Results, folder: Path) -> list[Path]:
    """Write runs, experiences, summary and pairs as CSV, and a LaTeX and a Markdown table of each main metric.

    Raises:
        InputError: the runs are of several policies or streams, or one run is there twice.
        OSError: the folder cannot be written.
    """
    runs = results.frame()
    frames = {
        "runs": runs,
        "experiences": results.frame("experience"),
        "summary": summary(runs),
        "pairs": pairs(runs),
    }
    written = [to_csv(frame, folder / f"{name}.csv") for name, frame in frames.items()]
    for metric in METRICS:
        for suffix, table in (("tex", latex_table), ("md", markdown_table)):
            path = folder / f"{metric}.{suffix}"
            path.write_text(table(runs, metric), encoding="utf-8")
            written.append(path)
    return written
