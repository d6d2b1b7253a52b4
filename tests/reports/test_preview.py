"""Previews: the table counts what the plan delivers, the picture is a valid chart, the export runs."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import altair as alt
import numpy as np
import pytest

import cl_engine
from cl_engine.reports.preview import COLUMNS, ROWS, chart_of, overview, table
from cl_engine.scenarios.families.gaussian_schedule import gaussian_schedule
from cl_engine.scenarios.plan import plan_of
from cl_engine.scenarios.shipped import find


def test_the_overview_counts_what_is_delivered():
    targets = np.array([5, 5, 9, 9, 2])
    plan = plan_of(targets, [np.array([0, 2]), np.array([1, 0]), np.array([3])], repeats=True)
    facts = overview(targets, plan)
    assert facts["experiences"] == [
        {"samples": 2, "classes": 2, "new_classes": 2, "exposed_classes": 2},
        {"samples": 2, "classes": 1, "new_classes": 0, "exposed_classes": 2},
        {"samples": 1, "classes": 1, "new_classes": 0, "exposed_classes": 2},
    ]
    assert (facts["samples_delivered"], facts["samples_dropped"], facts["samples_repeated"]) == (5, 1, 1)
    assert facts["fingerprint"] in table(facts)


def test_the_table_says_which_labels_come_first_in_an_experience():
    targets = np.repeat([7, 3, 9, 4, 8], 2)
    plan = plan_of(targets, [np.array([0, 1, 4, 5]), np.array([2, 3, 6, 7, 8, 9, 0])], repeats=True)
    _, first, second, *_ = table(overview(targets, plan)).splitlines()
    assert (first.split()[-2:], second.split()[-3:]) == (["7,", "9"], ["3,", "4,", "8"])


def test_a_million_samples_of_a_thousand_classes_share_cells_and_lose_nothing():
    targets = np.arange(10**6) % 1000
    plan = gaussian_schedule(targets, experiences=300, seed=0)
    bars, cells = chart_of(targets, plan, "big")["vconcat"]
    assert sum(b["samples"] for b in bars["data"]["values"]) == 10**6
    assert sum(c["samples"] for c in cells["data"]["values"]) == 10**6
    assert len(bars["data"]["values"]) <= COLUMNS
    assert max(c["y"] for c in cells["data"]["values"]) < ROWS
    assert len(table(overview(targets, plan)).splitlines()) < 70


def test_the_command_writes_pictures_and_a_plan_that_runs(tmp_path):
    command = [sys.executable, "-m", "cl_engine", "preview", "digits-permuted", "--out", str(tmp_path), "--json"]
    done = subprocess.run([*command, "--export", str(tmp_path / "plan.npz")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    svg = ET.parse(tmp_path / "digits-permuted-preview.svg").getroot()
    words = " ".join(svg.itertext())
    assert "experience" in words
    assert "class, in order of first exposure" in words
    html = (tmp_path / "digits-permuted-preview.html").read_text()
    assert "vega" in html
    assert "<script src=" not in html  # the page works offline
    with np.load(tmp_path / "plan.npz") as arrays:
        assert arrays["indices"].dtype == arrays["offsets"].dtype == np.int64
        assert len(arrays["offsets"]) == len(facts["experiences"]) + 1
    stream = {"kind": "plan", "path": str(tmp_path / "plan.npz")}
    scenario = {"data": "digits", "strategy": {"kind": "g-acil", "width": 200}}
    again = cl_engine.run(scenario, stream=stream)
    assert again.to_dict()["stream"]["fingerprint"] == facts["fingerprint"]
    assert again.accuracy == cl_engine.run(find("digits-permuted")).accuracy


def texts(element, matrix=(1.0, 0.0, 0.0, 1.0, 0.0, 0.0)):
    """Yield the lines of text of an SVG with their left, top, right, bottom, all glyphs as wide as Verdana's."""
    a, b, c, d, e, f = matrix
    for name, numbers in re.findall(r"(\w+)\(([^)]*)\)", element.get("transform", "")):
        if name == "translate":
            x, y = map(float, numbers.split(","))
            e, f = a * x + c * y + e, b * x + d * y + f
        else:
            assert (name, numbers) == ("rotate", "-90")
            a, b, c, d = -c, -d, a, b
    if element.tag.endswith("}text"):
        size = float(element.get("font-size").removesuffix("px"))
        for number, line in enumerate([*element] or [element]):
            width = len(line.text) * size * (0.7 if element.get("font-weight") == "bold" else 0.6)
            start = {"start": 0, "middle": -width / 2, "end": -width}[element.get("text-anchor")]
            down = number * (size + 2)
            ends = [(a * x + c * down + e, b * x + d * down + f) for x in (start, start + width)]
            yield line.text, *map(min, *ends), *map(max, *ends)
    for child in element:
        yield from texts(child, (a, b, c, d, e, f))


@pytest.mark.parametrize(("classes", "experiences"), [(1, 1), (10, 2), (100, 10), (2000, 500)])
def test_no_text_is_wider_than_the_picture(classes, experiences, tmp_path):
    title = "a-name-without-a-space-" * 4 + ": repetition-sampled"
    targets = np.arange(10 * max(classes, experiences)) % classes
    plan = plan_of(targets, np.array_split(np.arange(len(targets)), experiences))
    with alt.data_transformers.enable("default", max_rows=None):
        alt.Chart.from_dict(chart_of(targets, plan, title)).save(tmp_path / "p.svg")
    svg = ET.parse(tmp_path / "p.svg").getroot()
    lines = list(texts(svg))
    assert "".join(line for line, *_ in lines).replace(" ", "").count(title.replace(" ", "")) == 1  # nothing is cut
    for line, left, top, right, bottom in lines:
        assert left >= 0, line
        assert top >= 0, line
        assert right <= float(svg.get("width")), line
        assert bottom <= float(svg.get("height")), line


@pytest.mark.parametrize("target", ["file/below", "/proc/nothing"])
def test_a_picture_that_cannot_be_written_is_one_line(tmp_path, target):
    (tmp_path / "file").write_text("in the way")
    command = [sys.executable, "-m", "cl_engine", "preview", "quickstart", "--out", target]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be written" in done.stderr
