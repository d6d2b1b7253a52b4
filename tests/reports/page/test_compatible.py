"""The pictures of compatibility and of a service: what the page and the files draw are the numbers of the results."""

import re
from html.parser import HTMLParser

import pytest

import cl_engine
from cl_engine.reports.page import compatible
from cl_engine.reports.page.charts.drawing import svg
from cl_engine.reports.page.charts.triangle import triangle
from cl_engine.reports.page.figures import figures_of
from cl_engine.reports.page.page import html_of, page_of

OWN = {"kind": "gaussian", "features": 8, "samples_per_class": 12, "test_per_class": 8}
HELD_OUT = {"gallery": {"data": {**OWN, "classes": 9}, "split": "train", "classes": [6, 7, 8]}}
SCENARIO = {
    "name": "seen",
    "data": {**OWN, "classes": 6},
    "stream": {"step": 2, "class_order": "natural"},
    "training": {"epochs": 2},
    "strategy": {"kind": "cl2r", "reserved": 8, "per_class": 4, "vertices": "last", "backbone": {"kind": "mlp", "width": 8}},
    "replace": [{"at": 2, "pretrain": {"data": {**OWN, "classes": 20}, "classes": [12, 13, 14], "epochs": 2}}],
    "evaluate": {"compatibility": {**HELD_OUT, "queries": {"split": "test"}}, "probes": ["angles"]},
    "service": {
        **HELD_OUT, "queries": {"split": "test"}, "seconds": 100.0, "look": 20.0, "initial": 0.5, "inserts": 0.1, "rate": 1.0,
        "batch": 4, "switch": "when-finished",
    },
    "sweep": {"seeds": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return cl_engine.sweep(SCENARIO, out=tmp_path_factory.mktemp("sweep"), workers=0)


@pytest.fixture(scope="module")
def first(results):
    return next(run.result for run in results.runs if run.seed == 0)


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    return page_of(results, "seen", tmp_path_factory.mktemp("page"))


class Drawings(HTMLParser):
    """The words of every drawn thing of a page, by section; of what a screen reader is told."""

    def __init__(self):
        super().__init__()
        self.section, self.words, self.cells, self.scripts, self._cell = "", {}, {}, 0, False

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "section":
            self.section = given.get("id")
        if given.get("role") == "img" and "aria-label" in given:
            self.words.setdefault(self.section, []).append(given["aria-label"])
        self._cell = tag in ("td", "th")
        self.scripts += "src" in given

    def handle_data(self, data):
        if self._cell:
            self.cells.setdefault(self.section, []).append(data)


@pytest.fixture(scope="module")
def drawn(page):
    parser = Drawings()
    parser.feed(html_of(page))
    return parser


def broken(first):
    """What fails, from the definitions."""
    found = first["compatibility"]
    m, same, other = found["matrix"], found["mean_cosine"]["same"], found["mean_cosine"]["different"]
    pairs = [(t, k) for t in range(3) for k in range(t)]
    return {
        "!": {(t, k) for t, k in pairs if m[t][k] <= m[k][k]},
        "=": {(t, k) for t, k in pairs if same[t][k] < same[k][k]},
        "\u2260": {(t, k) for t, k in pairs if other[t][k] > other[k][k]},
    }


def test_the_page_draws_every_score_of_the_matrix_and_marks_what_fails(first, drawn):
    matrix, failed = first["compatibility"]["matrix"], broken(first)
    fields = [words for words in drawn.words["compatibility"] if "gallery by model" in words]
    found = {}
    for words in fields:
        t, k = map(int, re.search(r"queries by model (\d), gallery by model (\d)", words).groups())
        found[t - 1, k - 1] = float(re.search(r"· ([\d.]+) %", words)[1])
        said = {"!": "not above", "=": "farther from its own", "\u2260": "nearer to other"}
        assert {sign for sign, part in said.items() if part in words} == {
            s for s, own in failed.items() if (t - 1, k - 1) in own
        }
    assert found == {(t, k): pytest.approx(100 * matrix[t][k], abs=0.005) for t in range(3) for k in range(t + 1)}
    assert failed["!"]


def test_the_figure_of_the_matrix_has_its_numbers_exactly_and_frames_the_failures(first, page):
    spec = figures_of(page)["compatibility-cl2r"]
    values = {(f["y"] - 1, f["x"] - 1): f for f in spec["data"]["values"]}
    assert {place: f["v"] for place, f in values.items()} == {
        (t, k): score for t, row in enumerate(first["compatibility"]["matrix"]) for k, score in enumerate(row)
    }
    failed = broken(first)
    assert {place for place, f in values.items() if f["framed"]} == failed["!"]
    for sign, places in failed.items():
        assert {place for place, f in values.items() if sign in f["signs"].split()} == places


def points(spec):
    values = next(layer["data"]["values"] for layer in spec["layer"] if layer["mark"]["type"] == "point")
    return {(p["words"].split(" · ")[1], p["x"]): p["y"] for p in values}


def rules(spec):
    return [
        (p["x"], bool(layer["mark"]["strokeDash"][1]))
        for layer in spec["layer"]
        if layer["mark"]["type"] == "rule"
        for p in layer["data"]["values"]
    ]


def test_old_galleries_are_followed_and_a_line_stands_where_a_model_was_received(first, page):
    spec = figures_of(page)["old-galleries-cl2r"]
    matrix = first["compatibility"]["matrix"]
    assert points(spec) == {(f"gallery {k + 1}", t + 1): 100 * matrix[t][k] for t in range(3) for k in range(t + 1)}
    assert rules(spec) == [(1.5, False)]


def test_angles_are_drawn_as_means_over_seeds(results, page):
    found = points(figures_of(page)["angles-cl2r"])
    both = [run.result["probes"]["angles"] for run in results.runs]
    for name in ("old", "new"):
        for k in range(3):
            values = [angles[name][k] for angles in both]
            if None not in values:
                assert found[f"{name} classes", k + 1] == pytest.approx(sum(values) / 2)
    assert ("old classes", 1) not in found


def test_a_service_is_drawn_over_time_with_what_it_cost_and_when_models_came(first, page, drawn):
    service, panels = first["service"], figures_of(page)["service-cl2r"]["vconcat"]
    for panel, lines in zip(
        panels,
        (
            {
                "service": [100 * a for a in service["accuracy"]],
                "if renewed at once": [100 * a for a in service["fresh"]],
            },
            {"stored": [b / 1024 for b in service["vector_bytes"]]},
            {"so far": [f / 1e9 for f in service["renewal_flops_so_far"]]},
        ),
        strict=True,
    ):
        drawn_points = points(panel)
        assert drawn_points == {
            (name, x): y for name, ys in lines.items() for x, y in zip(service["times"], ys, strict=True)
        }
        switched = [time for t, time in enumerate(service["switched"]) if time is not None and time > 100.0 * t]
        assert sorted(rules(panel)) == sorted(
            [(100.0, False), (200.0, False), *((time, True) for time in switched)]
        )
    assert any("model 2 comes at 100 s" in words for words in drawn.words["service"])
    assert service["renewal_flops_so_far"][-1] <= service["renewal_flops"]


def test_the_tables_below_are_means_over_seeds_and_nothing_is_loaded(results, drawn):
    cells = drawn.cells["compatibility"]
    values = [run.result["compatibility"]["average_cross_accuracy"] for run in results.runs]
    assert f"{100 * sum(values) / 2:.4g}" in cells
    images = [run.result["service"]["re_embedded"] for run in results.runs]
    assert f"{sum(images) / 2:.4g}" in drawn.cells["service"]
    assert drawn.scripts == 0


def test_colours_follow_the_page_in_the_dark_and_are_plain_in_files(page):
    text = html_of(page)
    for name in ("compatibility", "service"):
        (section,) = re.findall(rf'<section id="{name}">.*?</section>', text, re.S)
        assert "var(--" in section
        charts = [group for group in re.findall(r"<svg[^>]*>", section) if "aria-hidden" not in group]
        assert charts
        assert all('role="group" aria-label="Chart: ' in group for group in charts)
        assert not re.findall(r'(?:fill|stroke)="#', section)
    assert "var(--" not in str(figures_of(page)["compatibility-cl2r"])


def test_a_long_matrix_is_thinned_keeps_the_last_model_and_says_no_numbers():
    matrix = [[0.5] * (t + 1) for t in range(100)]
    spec = triangle(matrix, {"!": ("fails", [(99, 0)])}, "hoc")
    fields = spec["data"]["values"]
    assert len(fields) <= 30 * 31 / 2
    assert max(f["y"] for f in fields) == 100
    assert len(spec["layer"]) == 2
    assert 'role="group"' in svg(spec, "words")


def test_a_result_without_these_measurements_has_no_such_section(tmp_path):
    plain = {key: value for key, value in SCENARIO.items() if key not in ("evaluate", "service", "replace")}
    text = html_of(page_of(cl_engine.sweep(plain, out=tmp_path, workers=0), "plain", tmp_path))
    assert "What later models can search" not in text
    assert "A service over time" not in text


def test_a_service_of_an_older_result_is_drawn_without_what_it_does_not_have(first):
    older = {key: value for key, value in first["service"].items() if key != "renewal_flops_so_far"}
    assert len(compatible._panels(older, 100.0, "cl2r")["vconcat"]) == 2
