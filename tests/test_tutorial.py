"""Every tutorial runs as it stands: its files are written, its Python runs, its commands succeed and print what is shown."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest

from cl_engine.cli.app import _status

TUTORIALS = sorted((Path(__file__).parent.parent / "docs" / "tutorial").glob("*.md"))
FILE = re.compile(r"# ([\w-]+\.(?:py|yaml))\n")


def run(command, monkeypatch, capsys):
    """Run one line of a console; return its exit status and what it printed."""
    monkeypatch.setattr("sys.argv", shlex.split(command))
    status = _status()
    told = capsys.readouterr()
    return status, told.out + told.err


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs_from_top_to_bottom(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CL_ENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    names: dict = {}
    for language, block in re.findall(r"```(\w+)\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        if file := FILE.match(block):
            Path(file[1]).write_text(block)
            importlib.invalidate_caches()
        elif language == "python":
            exec(compile(block, page.name, "exec"), names)
        elif language == "console":
            for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
                command, _, shown = part.partition("\n")
                status, printed = run(command, monkeypatch, capsys)
                assert status == (2 if "reply" in command else 0), (command, printed)
                assert [line for line in shown.splitlines() if line not in printed] == [], (command, printed)
    for name in [
        name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))
    ]:
        del sys.modules[name]


def test_every_block_of_a_tutorial_is_one_that_is_run():
    assert len(TUTORIALS) == 6
    for page in TUTORIALS:
        languages = {language for language, _ in re.findall(r"```(\w*)\n(.*?)```", page.read_text(), re.S)}
        assert languages <= {"python", "yaml", "console"}, page
