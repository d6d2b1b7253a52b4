import json
import re
from itertools import pairwise
from xml.etree import ElementTree

import altair
import pandas as pd
import pytest

import cl_engine
from cl_engine.errors import InputError
from cl_engine.reports.page import Page, write_figures
from cl_engine.reports.page.charts.drawing import COLOURS
from cl_engine.reports.page.charts.ledger import ledger
from cl_engine.reports.page.figures import figures_of
from tests.reports.page import synthetic
from tests.reports.page.test_page import HOSTILE, page_of, scenario_rows

SVG = "{http://www.w3.org/2000/svg}"


def sweep_with_a_hostile_name():
    rows = synthetic.oracle_rows(("full", "paper"), seeds=3)
    for row in rows:
        if row["label"] == "memo":
            row["label"] = row["strategy"] = HOSTILE
    return page_of(rows)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    return folder, write_figures(sweep_with_a_hostile_name(), folder)


def test_every_figure_is_there_as_svg_pdf_and_specification(written):
    folder, paths = written
    assert sorted(paths) == sorted(folder.iterdir())
    names = {re.sub(r"\.(svg|pdf|vl\.json)$", "", path.name) for path in paths}
    assert len(paths) == 3 * len(names)
    wanted = {"curves-average", "curves-last", "pareto", "pareto-last", "auc", "auc-last"}
    assert wanted | {f"{name}-paper" for name in wanted} < names
    assert {"experiences-128KiB", "experiences-1MiB-paper", "ledger-icarl", "ledger-icarl-paper", "stream"} < names
    assert all(path.read_bytes().startswith(b"%PDF") for path in paths if path.suffix == ".pdf")


def test_no_drawing_depends_on_a_style_sheet_and_a_name_stays_text(written):
    _, paths = written
    names = 0
    for path in (path for path in paths if path.suffix == ".svg"):
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        for node in root.iter():
            assert node.tag != f"{SVG}script"
            attributes = {key: value for key, value in node.attrib.items() if key != "aria-label"}
            assert not [value for value in attributes.values() if "var(--" in value]
        names += "<script>" in "".join(root.itertext()) or "&lt;script" in path.read_text(encoding="utf-8")
    assert names


def test_a_drawing_has_the_width_of_a_column_or_of_the_page_on_white(written):
    _, paths = written
    widths = set()
    for path in (path for path in paths if path.suffix == ".svg"):
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        widths.add(root.get("width"))
        assert root.find(f"{SVG}rect").get("fill") == "white"
        pdf = path.with_suffix(".pdf").read_bytes()
        (box,) = re.findall(rb"MediaBox \[0 0 ([\d.]+) [\d.]+\]", pdf)
        assert float(box) / 72 * 25.4 == pytest.approx(float(root.get("width").removesuffix("mm")), abs=0.05)
    assert widths == {"84.00mm", "174.00mm"}


def test_a_specification_is_vega_lite_without_variables(written):
    _, paths = written
    for path in (path for path in paths if path.suffix == ".json"):
        spec = json.loads(path.read_text(encoding="utf-8"))
        altair.Chart.from_dict(spec)

        def without_data(node):
            if isinstance(node, dict):
                return [without_data(value) for key, value in node.items() if key not in ("data", "description")]
            return [without_data(value) for value in node] if isinstance(node, list) else node

        assert "var(--" not in json.dumps(without_data(spec))


def test_the_same_page_gives_the_same_bytes(written, tmp_path):
    _, paths = written
    write_figures(sweep_with_a_hostile_name(), tmp_path)
    for path in paths:
        if path.suffix != ".pdf":
            assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def points(spec):
    return [p["i"] for layer in spec["layer"] for p in layer["data"]["values"] if "words" in p]


def curves(tmp_path, values):
    rows = [
        synthetic.run_row(10 * k + seed + 3 * b, label, seed, "full", 1024 * 4**b, mean + 0.001 * seed)
        for k, (label, means) in enumerate(values.items())
        for b, mean in enumerate(means)
        for seed in range(3)
    ]
    write_figures(page_of(rows), tmp_path)
    return json.loads((tmp_path / "curves-average.vl.json").read_text())


def test_a_wide_gap_parts_the_curves_and_loses_none(tmp_path):
    spec = curves(tmp_path, {"icarl": [0.95, 0.96], "memo": [0.94, 0.97], "ewc": [0.41, 0.42]})
    upper, lower = spec["vconcat"]
    assert len({*points(upper)}) == 2
    assert len({*points(lower)}) == 1
    assert (
        len(points(upper) + points(lower)) == len({*points(upper), *points(lower)}) * 2 * 3
    )  # in band, line and mark


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"icarl": [0.95, 0.96], "memo": [0.41, 0.97], "ewc": [0.41, 0.42]}, id="one is on both sides"),
        pytest.param({"icarl": [0.6, 0.8], "memo": [0.5, 0.7], "ewc": [0.4, 0.4]}, id="no wide gap"),
    ],
)
def test_curves_that_no_gap_parts_share_one_panel(tmp_path, values):
    assert "vconcat" not in curves(tmp_path, values)


def test_one_call_plots_a_figure_of_results_or_of_a_folder_and_names_them_all_otherwise(tmp_path):
    results = cl_engine.sweep(
        {
            "name": "tiny",
            "data": {"kind": "gaussian", "classes": 4, "features": 8, "samples_per_class": 20},
            "stream": {"step": 2},
            "strategy": "ncm",
            "training": {"epochs": 1},
            "sweep": {"memory.budget": ["64 KiB", "1 MiB"], "seeds": 2},
        },
        out=tmp_path,
        workers=0,
    )
    chart = cl_engine.plot(results).to_dict()
    assert chart == cl_engine.plot(tmp_path / "tiny", "curves-average").to_dict()
    assert chart["layer"]
    with pytest.raises(
        InputError, match=r"figure 'curve': there is none; allowed: curves-average, curves-last, p.*$"
    ):
        cl_engine.plot(results, "curve")


def axes(spec):
    if isinstance(spec, dict):
        return [*([spec["axis"]] if spec.get("axis") else []), *(a for value in spec.values() for a in axes(value))]
    return [a for value in spec for a in axes(value)] if isinstance(spec, list) else []


@pytest.mark.parametrize("experiences", [1, 2, 5, 37])
def test_whole_numbers_on_an_axis_are_named_once(experiences, tmp_path):
    rows = [synthetic.run_row(k, "memo", k, "full", 65536, 0.5 + 0.1 * k) for k in range(2)]
    frames = synthetic.frames_of(rows, experiences)
    write_figures(Page("A sweep", *frames, results=synthetic.raw_results(rows)), tmp_path)
    root = ElementTree.fromstring((tmp_path / "experiences-64KiB.svg").read_text(encoding="utf-8"))
    names = [int(node.text) for node in root.iter(f"{SVG}text") if re.fullmatch(r"\d+", node.text or "")]
    along = [
        a["values"] for a in axes(json.loads((tmp_path / "experiences-64KiB.vl.json").read_text())) if "values" in a
    ]
    assert all(ticks == sorted({*ticks}) and len(ticks) <= 11 for ticks in along)
    assert along[0][-1] <= experiences
    assert {*along[0]} <= {*names}


def names_of(spec):
    layer = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "text")
    return layer["data"]["values"]


def test_names_of_points_at_one_place_stand_apart(tmp_path):
    rows = [
        synthetic.run_row(f"{label}{seed}", label, seed, "full", 65536, 0.5 + 0.01 * seed)
        for label in ("icarl", "replay", "memo", "der")
        for seed in range(2)
    ]
    write_figures(page_of(rows), tmp_path)
    spec = json.loads((tmp_path / "pareto.vl.json").read_text())
    names = names_of(spec)
    assert sorted(name["label"] for name in names) == ["der", "icarl", "memo", "replay"]
    low, high = next(e["y"]["scale"]["domain"] for e in [layer["encoding"] for layer in spec["layer"]])
    heights = sorted(name["y"] / (high - low) * spec["height"] for name in names)
    assert all(b - a >= 12 for a, b in pairwise(heights))  # pixels


def test_long_names_that_differ_late_are_not_cut_to_the_same(tmp_path):
    options = [f"codec {codec} model_dtype {dtype}" for codec in ("raw", "jpeg") for dtype in ("float32", "int8")]
    spec = curves(tmp_path, {f"replay {named}": [0.6, 0.8] for named in options} | {"ncm": [0.5, 0.7]})
    found = {name["label"] for name in names_of(spec)}
    assert found == {"replay raw float32", "replay raw int8", "replay jpeg float32", "replay jpeg int8", "ncm"}


def test_the_grid_of_scenarios_has_the_mean_of_each_strategy_in_each_and_the_best_on_top():
    figure = figures_of(page_of(scenario_rows()))["scenarios-average-64KiB"]
    fields = {(f["strategy"], f["scenario"]): f["v"] for f in figure["data"]["values"]}
    assert fields["memo", "b"] == pytest.approx((0.72 + 0.70 + 0.74) / 3)
    order = figure["layer"][0]["encoding"]["y"]["scale"]["domain"]
    totals = [sum(fields[label, name] for name in "abcd") for label in order]
    assert totals == sorted(totals, reverse=True)


def test_a_ledger_of_more_kinds_than_colours_is_drawn(tmp_path):
    rows = {f"held.kind {k}": [10.0 + k] for k in range(COLOURS + 3)}
    frame = pd.DataFrame({"budget": [0], "experience": [1], "peak": [5.0], **rows})
    spec = ledger(frame, [0], [name.removeprefix("held.") for name in rows], "memo")
    used = set(re.findall(r"var\(--(k\d+)\)", json.dumps(spec)))
    assert used == {f"k{k}" for k in range(COLOURS)}
