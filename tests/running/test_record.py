"""A record as a table: one row per experience, with the numbers of ``result.json``."""

import copy
import re

import pandas as pd
import pytest

import cl_engine
from cl_engine import RunRecord

SCENARIO = {
    "data": "digits",
    "stream": {"kind": "class-incremental", "first": 4, "step": 3},
    "strategy": {"kind": "replay", "backbone": {"kind": "mlp", "width": 16}},
    "training": {"epochs": 1},
    "memory": {"budget": "64 KiB"},
}


@pytest.fixture(scope="module")
def record():
    return cl_engine.run(SCENARIO)


def test_the_frame_has_the_numbers_of_the_result(record):
    frame, memory = record.to_frame(), record.memory
    assert frame["experience"].tolist() == [1, 2, 3]
    assert frame["samples"].sum() == 1442
    assert frame["new_classes"].tolist() == [4, 3, 3]
    assert frame["seen_classes"].tolist() == [4, 7, 10]
    assert frame["accuracy"].tolist() == record.accuracy["seen"]
    assert frame["average_accuracy"].tolist() == pytest.approx(frame["accuracy"].expanding().mean().tolist())
    assert frame["average_accuracy"].iloc[-1] == record.metrics["average_accuracy"]
    for column in ("held_bytes", "paper_bytes", "counted_bytes"):
        assert frame[column].tolist() == memory[column]
    assert frame["limit_bytes"].tolist() == [65536] * 3
    assert frame["training_bytes"].max() == memory["training_peak_bytes"]


def test_what_is_not_known_is_missing(record):
    older = copy.deepcopy(record.to_dict())
    older["memory"]["limits"] = None
    older["accuracy"]["seen"][0] = None  # an experience before the first class
    del older["memory"]["training_bytes"]
    frame = RunRecord(older).to_frame()
    assert frame["limit_bytes"].isna().all()
    assert frame["training_bytes"].isna().all()
    assert frame["accuracy"].isna().tolist() == [True, False, False]
    assert frame["average_accuracy"].iloc[1] == frame["accuracy"].iloc[1]
    assert (frame.dtypes == record.to_frame().dtypes).all()
    assert "nan" not in RunRecord(older)._repr_html_().lower()


def test_a_notebook_shows_the_frame_and_no_markup_of_the_users(record):
    marked = copy.deepcopy(record.to_dict())
    marked["name"], marked["config"]["strategy"]["kind"] = "<script>1</script>", "a:<b>"
    html = RunRecord(marked)._repr_html_()
    assert "<script" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
    cells = re.findall(r"<td>(.*?)</td>", html)
    assert len(cells) == 3 * len(record.to_frame().columns)
    assert cells[:4] == ["1", "576", "4", "4"]


def test_a_long_record_is_shown_in_short(record):
    long = copy.deepcopy(record.to_dict())
    for values in (long["stream"]["experiences"], long["accuracy"]["seen"]):
        values *= 20
    for key in ("held_bytes", "paper_bytes", "counted_bytes", "limits", "training_bytes"):
        long["memory"][key] *= 20
    shown = RunRecord(long)
    assert len(shown.to_frame()) == 60
    assert shown._repr_html_().count("<tr") < 30
    assert isinstance(shown.to_frame(), pd.DataFrame)
