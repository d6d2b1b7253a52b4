import json
import statistics

import pytest
from typer.testing import CliRunner

import cl_engine
from cl_engine.cli import report
from cl_engine.cli.app import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("sweeps")
    scenario = {
        "name": "tiny",
        "data": {"kind": "gaussian", "classes": 4, "features": 8, "samples_per_class": 20},
        "stream": {"step": 2},
        "strategy": "ncm",
        "training": {"epochs": 1},
        "sweep": {"seeds": 2},
    }
    cl_engine.sweep(scenario, out=out, workers=0)
    return out / "tiny"


def test_the_figures_are_written_and_named_in_the_answer(folder, tmp_path):
    shown = CliRunner().invoke(app, ["report", str(folder), "--figures", str(tmp_path / "new" / "f"), "--json"])
    assert shown.exit_code == 0, shown.output
    files = json.loads(shown.stdout)["files"]
    assert sorted(files) == sorted(map(str, [folder / "report.html", *(tmp_path / "new" / "f").iterdir()]))
    assert str(tmp_path / "new" / "f" / "pareto.svg") in files


def test_the_tables_of_a_report_have_the_spread_that_was_asked_for(folder, tmp_path):
    values = [100 * value for value in cl_engine.load_results(folder)["average_accuracy"]]
    for spread, words, half in (
        ("sd", "standard deviation", statistics.stdev(values)),
        ("ci", "half-width of the 95 % t-interval", 12.7062047 * statistics.stdev(values) / 2**0.5),
    ):
        options = ["--tables", str(tmp_path), "--out", str(tmp_path / "page.html"), "--spread", spread]
        shown = CliRunner().invoke(app, ["report", str(folder), *options])
        assert shown.exit_code == 0, shown.output
        text = (tmp_path / "average_accuracy.md").read_text(encoding="utf-8")
        assert f"Mean and {words} over 2 seeds" in text
        assert f"± {half:.1f} |" in text


def test_a_spread_that_there_is_not_is_refused_before_anything_is_read(tmp_path):
    shown = CliRunner().invoke(app, ["report", str(tmp_path / "missing"), "--spread", "std"])
    assert shown.exit_code == 2
    assert "got --spread 'std'; allowed: ci, sd, se" in shown.output


def test_a_heavy_page_is_written_with_a_line_on_what_to_leave_out(folder, monkeypatch, capsys):
    CliRunner().invoke(app, ["report", str(folder)])
    size = (folder / "report.html").stat().st_size
    for limit, lines in ((size - 1, 1), (2 * size, 0)):
        monkeypatch.setattr(report, "HEAVY", limit)
        report.report([folder])
        told = capsys.readouterr().err.splitlines()
        assert len(told) == lines
        assert all("report.html: " in line and "leave strategies, budgets or seeds out" in line for line in told)


def test_a_single_run_has_a_report(folder):
    run = next(folder.glob("*/result.json")).parent
    shown = CliRunner().invoke(app, ["report", str(run)])
    assert shown.exit_code == 0, shown.output
    assert shown.stdout == f"{run / 'report.html'}\n"
    assert f">{run.name}</a>" in (run / "report.html").read_text()


@pytest.mark.parametrize(("cells", "rows"), [("auto", 2), ("all", 2), ("means", 1)])
def test_cells_or_their_means(folder, tmp_path, cells, rows):
    out = tmp_path / "page.html"
    shown = CliRunner().invoke(app, ["report", str(folder), "--out", str(out), "--cells", cells])
    assert shown.exit_code == 0, shown.output
    table = out.read_text().split('id="cells"')[1].split("</table>")[0]
    assert table.count("<tr>") == 1 + rows


def test_the_line_on_a_heavy_page_names_what_leaves_most_out(folder, monkeypatch, capsys):
    monkeypatch.setattr(report, "HEAVY", 1)
    for cells, named in (("auto", True), ("means", False)):
        report.report([folder], cells=cells)
        assert ("--cells means" in capsys.readouterr().err) == named
