"""What the README shows works as it stands there."""

import re
import sys
from pathlib import Path

import cl_engine
from cl_engine.kinds.registry import kinds
from cl_engine.testing import check_strategy

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
YAML = [text for language, text in BLOCKS if language == "yaml"]


def test_the_custom_strategy_has_25_lines_keeps_the_contract_and_runs(tmp_path, monkeypatch):
    source = PYTHON[0].strip()
    assert len(source.splitlines()) <= 25
    (tmp_path / "mine.py").write_text(source)
    (tmp_path / "my-first.yaml").write_text(YAML[0])
    record = cl_engine.run(tmp_path / "my-first.yaml", strategy="mine:Nearest")
    assert record.metrics["last_accuracy"] > 0.8
    check_strategy(sys.modules["mine"].Nearest)


def test_the_scenario_file_is_fine(tmp_path):
    (tmp_path / "my-first.yaml").write_text(YAML[0])
    assert cl_engine.Scenario.load(tmp_path / "my-first.yaml").name == "my-first"


def test_the_table_of_methods_names_every_strategy_once():
    table = README.split("The methods, each with")[1].split("\n\n")[1]
    assert sorted(re.findall(r"`([\w-]+)`", table)) == sorted(kinds("strategies"))


def test_the_commands_name_files_that_exist():
    for name in re.findall(r"(?:docs|scenarios)/[\w-]+\.\w+", README):
        assert (Path(__file__).parent.parent / name).exists(), name
