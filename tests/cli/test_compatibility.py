"""`cl-engine compatibility`: from feature files to the matrix, without training."""

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import typer

from cl_engine.cli.app import app
from cl_engine.cli.status import exit_status
from cl_engine.metrics import compatibility_matrix, compatibility_metrics
from cl_engine.reports.compatibility import compatibility_text, heat_map
from tests.metrics.published import HOC


class Done:
    """What a command left; it ran in this process."""

    def __init__(self, *arguments):
        out, err = io.StringIO(), io.StringIO()
        words = ["compatibility", *map(str, arguments)]
        with redirect_stdout(out), redirect_stderr(err):
            self.returncode = exit_status(
                lambda: typer.main.get_command(app).main(words, prog_name="cl-engine", standalone_mode=False)
            )
        self.stdout, self.stderr = out.getvalue(), err.getvalue()


def versions(folder, count=3, **later):
    """Write files of versions of a model whose classes stay where they are; the last ones may hold something else."""
    draw, y = np.random.default_rng(0), np.arange(40) % 4
    made = []
    for number in range(count):
        gallery, queries = (np.eye(6)[y] + (0.6 - 0.1 * number) * draw.standard_normal((40, 6)) for _ in range(2))
        arrays = {"gallery": gallery.astype("f4"), "queries": queries.astype("f4")}
        if number == 0:
            arrays |= {"gallery_labels": y, "query_labels": y}
        elif number == count - 1:
            arrays |= later
        np.savez(folder / f"v{number}.npz", **arrays)
        made.append(arrays)
    return [folder / f"v{number}.npz" for number in range(count)], made, y


@pytest.mark.parametrize("protocol", ["templates", "map"])
def test_the_matrix_and_its_metrics_come_out_of_feature_files(tmp_path, protocol):
    files, made, y = versions(tmp_path)
    done = Done(*files, "--protocol", protocol, "--json", "--out", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = compatibility_matrix([m["gallery"] for m in made], [m["queries"] for m in made], y, y, protocol)
    for row, values in zip(found["matrix"], expected, strict=True):
        assert row == pytest.approx(values)
    assert {name: found[name] for name in compatibility_metrics(expected)} == pytest.approx(
        compatibility_metrics(expected)
    )
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "http" not in page
    text = Done(*files, "--protocol", protocol).stdout
    assert "v2.npz" in text
    assert f"{found['average_cross_accuracy']:.4f}" in text


def test_older_galleries_go_through_a_map_to_a_model_of_another_width_and_the_page_says_so(tmp_path):
    files, made, y = versions(tmp_path, 2)
    turn = np.random.default_rng(1).standard_normal((6, 8)).astype("f4")
    np.savez(files[1], gallery=made[1]["gallery"] @ turn, queries=made[1]["queries"] @ turn)
    assert "allowed: the same width" in Done(*files).stderr
    done = Done(*files, "--map", "ridge", "--pairs", "30", "--json", "--out", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["map"] == {"kind": "ridge", "pairs": 30}
    arrays = [[m[name] for m in (made[0], np.load(files[1]))] for name in ("gallery", "queries")]
    assert found["matrix"] == compatibility_matrix(*arrays, y, y, map="ridge", pairs=30)
    words = "Older galleries went through a map (ridge) fitted on 30 of their images."
    assert words in (tmp_path / "page.html").read_text()
    assert words in Done(*files, "--map", "ridge", "--pairs", "30").stdout


def test_the_first_values_alone_are_compared(tmp_path):
    files, made, y = versions(tmp_path)
    found = json.loads(Done(*files, "--prefix", "2", "--json").stdout)
    cut = [[m[name][:, :2] for m in made] for name in ("gallery", "queries")]
    assert found["matrix"] == compatibility_matrix(*cut, y, y)
    assert found["gallery_bytes"] == [4 * 40 * 2] * 3


def test_the_failure_of_the_published_matrix_is_marked_in_text_and_picture():
    found = {"protocol": "templates", "matrix": HOC, **compatibility_metrics(HOC)}
    names = [f"model {t}" for t in range(7)]
    lines = compatibility_text(found, names).splitlines()
    assert [line.count("!") for line in lines[1:8]] == [0, 0, 0, 0, 1, 0, 0]
    assert "72.11 !" in lines[5]
    assert any(line.split()[:2] == ["AC", "0.9524"] for line in lines)
    drawn = heat_map(HOC, names)
    assert drawn.count('class="fails"') == 1
    assert 'title="not above 72.4">72.1 !' in drawn


@pytest.mark.parametrize(
    ("later", "message"),
    [
        ({"gallery": np.zeros((40, 5))}, "gallery has 5 columns, and the first gallery 6; allowed: the same width"),
        ({"gallery": np.zeros((39, 6))}, "gallery has 39 rows, and that of the first file 40"),
        ({"queries": np.full((40, 6), np.nan)}, "queries holds NaN or infinite values"),
        ({"queries": np.zeros((40, 6), int)}, r"queries is int64 \[40, 6\]; allowed: floats"),
        ({"query_labels": np.zeros(40, int)}, "query_labels are others than those of the first file"),
    ],
)
def test_files_that_do_not_fit_are_one_line_with_the_files_name(tmp_path, later, message):
    files, _, _ = versions(tmp_path, **later)
    done = Done(*files)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"cl-engine: {files[-1]}: ")
    assert re.search(message, line)


def test_a_first_file_without_labels_and_a_file_that_is_not_there_are_one_line(tmp_path):
    files, _, _ = versions(tmp_path)
    done = Done(files[1])
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "lacks gallery_labels, query_labels" in done.stderr
    assert Done(tmp_path / "none.npz").returncode == 2


def test_the_page_never_takes_the_place_of_a_file_that_is_read(tmp_path):
    files, _, _ = versions(tmp_path)
    before = files[1].read_bytes()
    done = Done(*files, "--out", tmp_path / "." / files[1].name)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "which is one of the files" in done.stderr
    assert files[1].read_bytes() == before


@pytest.mark.skipif(np.longdouble().itemsize == 8, reason="this machine has no wider floats")
def test_floats_that_torch_does_not_have_are_one_line(tmp_path):
    files, _, _ = versions(tmp_path, gallery=np.zeros((40, 6), np.longdouble))
    done = Done(*files)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "allowed: floats [N, D], of 64 bits at most" in done.stderr
