"""Figures, tables and files of what analyses and probes found, with their numbers."""

import json
import re

import pytest

import cl_engine
from cl_engine.reports.exports.folder import write_tables
from cl_engine.reports.page.charts.heat import heat
from cl_engine.reports.page.charts.series import series
from cl_engine.reports.page.figures import figures_of, write_figures
from cl_engine.reports.page.page import html_of, page_of

SCENARIO = {
    "name": "seen",
    "data": {"kind": "gaussian", "classes": 6, "features": 8, "samples_per_class": 20},
    "stream": {"step": 2},
    "training": {"epochs": 1},
    "strategy": {"kind": "der-expandable", "backbone": {"kind": "mlp", "width": 8}},
    "analyses": ["gradient-norms", "weight-shift", "branch-cka"],
    "evaluate": {"probes": ["linear", "cka", "drift"]},
    "sweep": {"seeds": 2},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return cl_engine.sweep(SCENARIO, out=tmp_path_factory.mktemp("sweep"), workers=0)


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    return page_of(results, "seen", tmp_path_factory.mktemp("page"))


def points(spec):
    """Return by name and experience the number of each point of a chart of lines."""
    values = next(layer["data"]["values"] for layer in spec["layer"] if layer["mark"]["type"] == "point")
    return {(p["words"].split(" · ")[1], p["x"]): p["y"] for p in values}


def means(results, *path):
    """Return the mean over seeds of a list of a result."""
    found = []
    for run in results.runs:
        value = run.result
        for key in path:
            value = value[key]
        found.append(value)
    return [None if None in pair else sum(pair) / len(pair) for pair in zip(*found, strict=True)]


def test_a_figure_of_each_kind_has_the_numbers_of_the_record(results, page):
    figures = figures_of(page)
    names = {"gradient-norms", "weight-shift", "probe", "cka", "drift", "branch-cka"}
    assert {f"{name}-der-expandable" for name in names} <= set(figures)
    probe = points(figures["probe-der-expandable"])
    for k, value in enumerate(means(results, "probes", "linear"), start=1):
        assert probe["linear probe", k] == pytest.approx(100 * value)
    for k, value in enumerate(means(results, "accuracy", "seen"), start=1):
        assert probe["accuracy", k] == pytest.approx(100 * value)
    cka = points(figures["cka-der-expandable"])
    for part in ("first", "previous"):
        for k, value in enumerate(means(results, "probes", "cka", part)[1:], start=2):
            assert cka[f"with the {part}", k] == pytest.approx(value)
    drift = points(figures["drift-der-expandable"])
    assert drift["means since learned", 3] == pytest.approx(
        means(results, "probes", "drift", "means_since_learned")[2]
    )
    for what, key in (("gradient-norms", "norm"), ("weight-shift", "shift")):
        drawn = points(figures[f"{what}-der-expandable"])
        for block in (0, 1):
            both = [run.result["analyses"][what][key][2][block] for run in results.runs]
            assert drawn[f"stage {block + 1}", 3] == pytest.approx(sum(both) / 2)


def test_the_heat_map_says_every_number(results, page):
    spec = figures_of(page)["branch-cka-der-expandable"]
    matrix = results.runs[0].result["analyses"]["branch-cka"]["matrix"]
    assert len(spec["hconcat"]) == len(matrix) == 2
    for drawn, layer in zip(spec["hconcat"], matrix, strict=True):
        assert {(f["y"], f["x"]): f["v"] for f in drawn["data"]["values"]} == {
            (i, j): value for i, row in enumerate(layer, start=1) for j, value in enumerate(row, start=1)
        }


def test_files_of_the_figures_are_written(page, tmp_path):
    written = {path.name for path in write_figures(page, tmp_path)}
    assert {"branch-cka-der-expandable.svg", "drift-der-expandable.pdf", "probe-der-expandable.vl.json"} <= written
    text = (tmp_path / "weight-shift-der-expandable.svg").read_text(encoding="utf-8")
    assert "stage 2" in text
    assert "var(--" not in text
    assert "var(--" not in json.dumps(
        json.loads((tmp_path / "branch-cka-der-expandable.vl.json").read_text())["hconcat"]
    )


def test_the_page_has_a_section_with_drawings_in_its_own_colours_and_a_table(page):
    text = html_of(page)
    (section,) = re.findall(r'<section id="diagnostics">.*?</section>', text, re.S)
    assert section.count("<figure") == 6
    assert "var(--k1)" in section
    assert "var(--accent)" in section
    assert section.count("<tr") == 1 + 3  # after each experience
    assert "probe accuracy" in section


def test_a_page_of_runs_that_were_not_looked_at_has_no_such_section(tmp_path):
    plain = {key: value for key, value in SCENARIO.items() if key not in ("analyses", "evaluate")}
    results = cl_engine.sweep(plain, out=tmp_path, workers=0)
    page = page_of(results, "plain", tmp_path)
    assert "Inside the network" not in html_of(page)
    assert not [name for name in figures_of(page) if name.startswith(("probe", "gradient", "branch"))]


def test_the_table_of_experiences_has_the_columns(results, tmp_path):
    frame = results.frame("experience")
    own = frame[frame["seed"] == 1]
    result = next(run.result for run in results.runs if run.seed == 1)
    assert own["probe_accuracy"].tolist() == result["probes"]["linear"]
    assert own["cka_first"].tolist()[1:] == result["probes"]["cka"]["first"][1:]
    assert own["drift.means"].tolist()[1:] == result["probes"]["drift"]["means"][1:]
    assert own["gradient_norm.stage 2"].tolist() == [row[1] for row in result["analyses"]["gradient-norms"]["norm"]]
    assert own["weight_shift.stage 1"].tolist() == [row[0] for row in result["analyses"]["weight-shift"]["shift"]]
    write_tables(results, tmp_path)
    assert "probe_accuracy" in (tmp_path / "experiences.csv").read_text().splitlines()[0]


@pytest.mark.parametrize("log", [False, True])
def test_names_at_the_ends_of_many_lines_stand_apart_and_inside(log):
    lines = {f"stage {k}": [(x, 1.0 + 0.001 * k) for x in range(1, 6)] for k in range(30)}
    spec = series(lines, "norm", "memo", log)
    low, high = spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    heights = sorted(n["y"] for n in spec["layer"][2]["data"]["values"])
    assert low <= heights[0]
    assert heights[-1] <= high
    assert spec["height"] >= 12 * 30
    assert len({*heights}) == 30


def test_long_lines_and_many_branches_are_thinned_and_keep_the_last():
    spec = series({"one": [(x, float(x)) for x in range(1, 1001)]}, "y", "memo")
    xs = [p["x"] for p in spec["layer"][0]["data"]["values"]]
    assert len(xs) <= 60
    assert xs[-1] == 1000
    many = heat([[[0.5] * 100] * 100], [""], "memo")["hconcat"][0]
    assert len(many["data"]["values"]) <= 40 * 40
    assert max(f["x"] for f in many["data"]["values"]) == 100
    assert len(many["layer"]) == 1  # no room for numbers


def test_what_is_not_positive_has_no_place_on_a_logarithmic_axis():
    spec = series({"one": [(1, 0.0), (2, 2.0)]}, "y", "memo", log=True)
    assert [p["y"] for p in spec["layer"][0]["data"]["values"]] == [2.0]
    assert series({"none": []}, "y", "memo", log=True)["layer"][0]["data"]["values"] == []
