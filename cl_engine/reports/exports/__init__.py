"""Frames of runs as files and tables that other programs and papers take in."""

from __future__ import annotations

from cl_engine.reports.exports.aggregates import pairs, summary
from cl_engine.reports.exports.files import to_csv, to_parquet
from cl_engine.reports.exports.latex import latex_table
from cl_engine.reports.exports.markdown import markdown_table

__all__ = ["latex_table", "markdown_table", "pairs", "summary", "to_csv", "to_parquet"]
