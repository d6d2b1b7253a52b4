"""Frames as files that other programs read: CSV and Parquet."""

from __future__ import annotations

import numbers
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cl_engine.errors import InputError

ORDER = (
    "strategy",
    "label",
    "a",
    "b",
    "policy",
    "scenario",
    "budget",
    "budget_bytes",
    "metric",
    "seed",
    "experience",
    "samples",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the start of one
DICTIONARIES = ("strategy", "family", "label", "policy", "scenario", "status", "metric", "kind", "device", "a", "b")


def to_csv(frame: pd.DataFrame, path: str | Path) -> Path:
    """Write a frame as CSV (RFC 4180, but lines end in LF) in UTF-8, and return its path.

    Floats are written so that reading gives the same float; a missing value is empty.  A text, never a number, that
    a spreadsheet would run as a formula gets a leading ``'``.  Rows are sorted by strategy, budget, seed,
    experience: the same runs give the same bytes, in whatever order they were found.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = to_csv(pd.DataFrame({"label": ["=1+1", "a, b"], "mean": [-0.1, None]}), Path(folder, "t.csv"))
    ...     print(found.read_text(encoding="utf-8"), end="")
    label,mean
    '=1+1,-0.1
    "a, b",
    """
    rows: list[list[Any]] = [list(frame.columns)]
    rows += ordered(frame).astype(object).to_numpy().tolist()
    lines = [",".join(_field(_text(value)) for value in row) or '""' for row in rows]
    path = Path(path)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", errors="backslashreplace"))
    return path


def to_parquet(frame: pd.DataFrame, path: str | Path) -> Path:
    """Write a frame as Parquet, names as dictionaries, and return its path; rows sorted as in :func:`to_csv`.

    Raises:
        InputError: pyarrow is not installed.
    """
    try:
        import pyarrow  # type: ignore[import-untyped, import-not-found, unused-ignore]  # noqa: F401
    except ImportError as error:
        raise InputError("Parquet needs pyarrow, which is missing: pip install 'cl-engine[parquet]'") from error
    found, path = ordered(frame).reset_index(drop=True), Path(path)
    for name in found.columns:
        if found[name].dtype == object and len({type(value) for value in found[name].dropna()}) > 1:
            found[name] = found[name].map(str, na_action="ignore")
        if name in DICTIONARIES:
            found[name] = found[name].astype("category")
    found.to_parquet(path, engine="pyarrow", index=False)
    return path


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by strategy, budget, seed and experience, as far as the frame has them; missing ones last."""
    keys = [name for name in ORDER if name in frame.columns]
    return frame.sort_values(keys, kind="stable") if keys else frame


def _text(value: Any) -> str:
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        return "" if np.isnan(float(value)) else repr(float(value))
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text
