"""The page about folders of pictures: what it shows is what happens, from the drawing to the last line printed."""

import re
import shutil
from pathlib import Path

import pytest

import cl_engine
from cl_engine.cli.app import _status
from cl_engine.data.folder import Folder

PAGE = (Path(__file__).parent.parent / "docs" / "folder.md").read_text(encoding="utf-8")

CODE = re.findall(r"```python\n(.*?)```", PAGE, re.S)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CL_ENGINE_CACHE", str(tmp_path / "cache"))
    exec(compile(CODE[0], "folder.md", "exec"), {})
    (scenario,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    (tmp_path / "pets.yaml").write_text(scenario)
    return tmp_path


def test_the_transcript_is_what_is_printed(here, monkeypatch, capsys):
    commands = []
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.S):
        commands += [part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.M)[1:]]
    assert len(commands) == 4
    for command, _, shown in commands:
        monkeypatch.setattr("sys.argv", command.split())
        assert _status() == 0
        printed = capsys.readouterr().out.strip()
        assert printed.startswith(shown.strip()), command


def test_what_was_learned_predicts_and_goes_on_where_the_pictures_of_the_run_are_not(here, capsys):
    cl_engine.run("pets.yaml", out="runs")
    names = {}
    there, later = CODE[1:]
    shutil.rmtree("cache")
    (here / "pets").rename(here / "elsewhere")
    (here / "pets" / "fox").mkdir(parents=True)  # new pictures, and nothing else of what was learned
    for picture in (here / "elsewhere" / "fox").iterdir():
        picture.rename(here / "pets" / "fox" / picture.name)
    exec(compile(there, "folder.md", "exec"), names)
    exec(compile(later, "folder.md", "exec"), names)


def test_the_sizes_are_what_the_pictures_take(here):
    (row,) = {part.inputs.shape[1:] for part in (Folder(path="pets", size=64).load().train,)}
    assert row[0] * row[1] * row[2] == 12 << 10
    assert 3 * 224 * 224 == 147 << 10
