"""CSV and Parquet against readers that are not ours."""

import csv
import io
import math
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_engine.errors import InputError
from cl_engine.reports.exports import summary, to_csv, to_parquet, write_tables
from tests.reports.exports.runs import frame, rows, sweep

UGLY = ["<b>&amp;", 'say "hi"', "two\nlines", "cr\rhere", "a,b", "50% $x_1^2$ {#}\\~", "ünï"]


def written(table, folder):
    return to_csv(table, folder / "t.csv").read_bytes().decode("utf-8")


def read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def test_any_name_comes_back_as_it_was(tmp_path):
    text = written(pd.DataFrame({"name": UGLY, "n": range(len(UGLY))}), tmp_path)
    assert [r[0] for r in read(text)] == ["name", *UGLY]
    assert pd.read_csv(io.StringIO(text))["name"].tolist()[:3] == UGLY[:3]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_text_that_a_spreadsheet_would_run_is_defused(start, tmp_path):
    text = written(pd.DataFrame({"label": [f"{start}HYPERLINK(1)"], f"{start}key": ["fine"]}), tmp_path)
    header, cells = read(text)
    assert header == ["label", f"'{start}key"]
    assert cells == [f"'{start}HYPERLINK(1)", "fine"]


def test_negative_numbers_are_never_touched(tmp_path):
    table = pd.DataFrame(
        {"a": [-0.5, -1e-9], "b": [-3, 4], "c": pd.Series([-1, "=x"], dtype=object), "d": [np.float32(-2), None]}
    )
    text = written(table, tmp_path)
    assert text == "a,b,c,d\n-0.5,-3,-1,-2.0\n-1e-09,4,'=x,\n"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
@settings(deadline=None)  # a shared machine may be slow for a moment
def test_a_float_read_back_is_the_same_float(tmp_path_factory, values):
    text = written(pd.DataFrame({"x": values}), tmp_path_factory.mktemp("csv"))
    assert [float(r[0]) for r in read(text)[1:]] == values


def test_missing_values_are_empty_and_lines_end_in_lf(tmp_path):
    table = pd.DataFrame({
        "f": [math.nan, 1.0], "i": pd.array([None, 2], dtype="Int64"), "y": pd.array([None, True], dtype="boolean"),
        "s": [None, "x"], "t": [pd.NaT, pd.Timestamp("2024-01-02")],
    })  # fmt: skip
    assert written(table, tmp_path) == "f,i,y,s,t\n,,,,\n1.0,2,True,x,2024-01-02 00:00:00\n"
    assert written(pd.DataFrame({"only": [None, 1.0]}), tmp_path) == 'only\n""\n1.0\n'


def test_the_order_of_the_rows_given_changes_no_byte(tmp_path):
    runs = sweep()
    assert written(runs, tmp_path) == written(runs.sample(frac=1, random_state=0), tmp_path)


def test_the_summary_survives_the_file(tmp_path):
    found = pd.read_csv(to_csv(summary(sweep()), tmp_path / "summary.csv"))
    assert len(found) == 6 * 4
    assert found[found["label"] == "joint"]["rank_low"].isna().all()


def test_without_pyarrow_parquet_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"Parquet needs pyarrow.*pip install 'cl-engine\[parquet\]'"):
        to_parquet(sweep(), tmp_path / "t.parquet")
    assert not list(tmp_path.iterdir())


def test_parquet_holds_the_same_columns_with_names_as_dictionaries(tmp_path):
    pyarrow = pytest.importorskip("pyarrow.parquet")
    runs = frame(rows("a", [0.5, 0.6], **{"training.lr": 0.1}), rows("b", [0.7, 0.8], **{"training.lr": "auto"}))
    path = to_parquet(runs, tmp_path / "t.parquet")
    schema = pyarrow.read_schema(path)
    assert schema.names == list(runs)
    assert str(schema.field("strategy").type).startswith("dictionary")
    back = pd.read_parquet(path)
    assert back["average_accuracy"].tolist() == runs["average_accuracy"].tolist()
    assert back["training.lr"].tolist() == ["0.1", "0.1", "auto", "auto"]


def test_scenarios_whose_long_names_begin_alike_have_a_table_each(tmp_path):
    names = [f"{'folder ' * 12}{end}" for end in ("one", "two")]
    runs = frame(*(rows("ncm", [0.5, 0.6], scenario=name) for name in names))
    paths, _ = write_tables(SimpleNamespace(frame=lambda per="run": runs), tmp_path)
    assert sorted(paths) == sorted(tmp_path.iterdir())
    tables = [path.read_text() for path in paths if path.match("average_accuracy-*.md")]
    assert sorted(end for end in ("one", "two") for text in tables if f"folder {end}" in text) == ["one", "two"]
