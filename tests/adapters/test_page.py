"""What docs/avalanche.md shows runs, and its tables name every strategy."""

import re
from pathlib import Path

import pytest

from cl_engine.adapters.avalanche.known import SUPPORTED, UNSUPPORTED
from cl_engine.config.document import parse
from cl_engine.config.scenario import Scenario

PAGE = (Path(__file__).parents[2] / "docs" / "avalanche.md").read_text(encoding="utf-8")


def test_the_tables_say_of_every_strategy_what_it_keeps_or_why_it_cannot_run():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.M))
    assert {name: rows[name] for name in SUPPORTED} == {name: known.keeps for name, known in SUPPORTED.items()}
    assert {name: rows[name] for name in UNSUPPORTED} == UNSUPPORTED


@pytest.mark.avalanche
def test_the_scenario_that_is_shown_is_valid():
    pytest.importorskip("avalanche", reason="needs the avalanche extra")
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    assert Scenario.load(parse(block, "avalanche.md").tree).strategy["mode"] == "separate"


@pytest.mark.avalanche
def test_the_code_that_needs_avalanche_runs_from_top_to_bottom(tmp_path, monkeypatch):
    pytest.importorskip("avalanche", reason="needs the avalanche extra")
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```py\n(.*?)```", PAGE, re.S):
        exec(compile(block, "avalanche.md", "exec"), names)
    assert names["strategy"].held_bytes > 0


@pytest.mark.avalanche
def test_every_strategy_that_avalanche_exports_is_in_one_of_the_tables():
    pytest.importorskip("avalanche", reason="needs the avalanche extra")
    from avalanche.training import supervised
    from avalanche.training.templates.base import BaseTemplate

    exported = {
        name
        for name, found in vars(supervised).items()
        if isinstance(found, type)
        and issubclass(found, BaseTemplate)
        and found.__module__.startswith("avalanche.training.supervised")
    }
    assert exported <= {*SUPPORTED, *UNSUPPORTED}
