import json

from typer.testing import CliRunner

from cl_engine.cli.app import app


def test_a_dry_run_ends_with_how_many_cells_would_run_and_how_many_cannot(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scenario = {"data": "gaussian", "strategy": "ncm", "sweep": {"memory.budget": ["256 B", "1 MiB"], "seeds": 2}}
    (tmp_path / "a.yaml").write_text(json.dumps(scenario))
    shown = CliRunner().invoke(app, ["sweep", "a.yaml", "--dry-run"])
    *_, last_cell, empty, count = shown.stdout.splitlines()
    assert (empty, count) == ("", "4 cells: 2 impossible, 2 new")
    assert last_cell.split()[-3:] == ["new", "2.58", "KiB"]  # a new cell needs no other reason
