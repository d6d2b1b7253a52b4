"""A file with a sweep, given to a command that runs or checks one scenario, is not taken for less than it is."""

import pytest

from cl_engine.cli.app import _status

SWEPT = """
data: digits
stream: {step: 5}
strategy: replay
memory: {budget: 20 KiB}
training: {epochs: 1}
sweep:
  strategy: [ncm, {kind: replay, backbone: {kind: mlp, width: 8}}]
  seeds: 2
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "swept.yaml"
    path.write_text(SWEPT, encoding="utf-8")
    return path


def status(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["cl-engine", *map(str, words)])
    return _status()


def test_a_sweep_is_not_refused_for_a_budget_that_none_of_its_cells_breaks(file, monkeypatch, capsys):
    assert status(monkeypatch, "check", file) == 0
    assert f"sweep: 4 cells change this; each one is checked by: cl-engine sweep {file}" in capsys.readouterr().out


def test_without_its_sweep_the_same_file_is_refused(file, monkeypatch, capsys):
    assert status(monkeypatch, "check", file, "--set", "sweep=null") == 2
    assert "over the budget of 20,480" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["budget"], ["run", "--out", "runs"]])
def test_what_plans_or_runs_one_scenario_says_that_the_sweep_is_left_out(
    command, file, monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    assert status(monkeypatch, *command, file, "--set", "strategy=ncm") == 0
    note = f"note: without the sweep of its 4 cells, which is: cl-engine sweep {file}"
    assert note in capsys.readouterr().err
