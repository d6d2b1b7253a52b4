"""`doctor` tells what works on a machine, and the command that repairs what does not."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cl_engine.cli.app import _status
from cl_engine.cli.requirements import MODULES, TOOLS, requirements, tried

ROOT = Path(__file__).parent.parent.parent
WHEELS = "https://download.pytorch.org/whl/cpu"
NMS = "raise RuntimeError('operator torchvision::nms does not exist')"


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Put packages before those that are installed, here and in child processes."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")

    def write(package, version, code=""):
        about = tmp_path / f"{package.replace('-', '_')}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        if package != "torch":  # of which only the version is told
            module = tmp_path / MODULES.get(package, package).partition(".")[0]
            module.mkdir()
            (module / "__init__.py").write_text(code)

    return write


@pytest.fixture
def doctor(monkeypatch, capsys):
    def command(*arguments):
        monkeypatch.setattr("sys.argv", ["cl-engine", "doctor", *arguments])
        return _status(), capsys.readouterr().out

    return command


def extra(name, limit=60.0):
    (row,) = (row for row in tried(limit) if row.extra == name)
    return row


def test_extras_that_are_broken_leave_the_core_alone_and_are_told_with_their_repair(stub, doctor):
    stub("torch", "2.13.0+cpu")
    stub("torchvision", "0.28.0", NMS)
    stub("avalanche-lib", "0.6.0", "import torchvision")
    stub("ray", "2.9.0", "print('loud')\nraise OSError('libray.so: cannot open')")
    stub("timm", "0.5.4", "raise SystemError('it is never imported')")
    stub("datasets", "4.0.0", "import a_package_that_nobody_has")
    status, text = doctor("--json")
    found = json.loads(text)
    assert (status, found["works"], found["first_run"]["why"]) == (0, True, None)
    rows = {row["extra"]: (row["state"], row["why"], row["repair"]) for row in found["extras"]}
    pair = f"pip install --force-reinstall --no-deps 'torchvision==0.28.*' --index-url {WHEELS}"
    expected = {
        "avalanche": ("broken", "RuntimeError: operator torchvision::nms does not exist", pair),
        "vision": ("broken", "RuntimeError: operator torchvision::nms does not exist", pair),
        "ray": (
            "broken",
            "OSError: libray.so: cannot open",
            "pip install --force-reinstall --no-deps 'ray>=2.9'",
        ),
        "timm": ("old", "at least 1.0 is needed", f"pip install 'cl-engine[timm]' --extra-index-url {WHEELS}"),
        "hf": (
            "broken",
            "ModuleNotFoundError: No module named 'a_package_that_nobody_has'",
            "pip install 'cl-engine[hf]'",
        ),
    }
    assert {name: rows[name] for name in expected} == expected


@pytest.mark.parametrize(("torch", "vision"), [("2.4.1", "0.19"), ("2.9.1", "0.24"), ("2.14.1", "0.29")])
def test_torchvision_is_repaired_by_the_release_that_came_with_torch(torch, vision, stub):
    stub("torch", torch)
    stub("torchvision", "0.20.0", NMS)
    assert extra("vision").repair == f"pip install --force-reinstall --no-deps 'torchvision=={vision}.*'"


def test_an_extra_that_hangs_is_given_up(stub):
    stub("ray", "2.9.0", "import threading\nthreading.Event().wait()")
    assert extra("ray", limit=0.5).why == "importing it takes more than 0.5 s"


def test_an_extra_that_crashes_takes_nothing_with_it(stub):
    stub("datasets", "4.0.0", "import os\nos.abort()")
    assert extra("hf").why == "importing it ends the process by signal 6"


def test_an_extra_that_lacks_distutils_gets_setuptools(stub):
    stub("avalanche-lib", "0.6.0", "raise ModuleNotFoundError(\"No module named 'distutils'\")")
    assert extra("avalanche").repair == "pip install setuptools"


def test_a_module_of_an_extras_name_in_the_current_folder_is_not_taken_for_it(stub, tmp_path, monkeypatch):
    stub("ray", "2.9.0")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "ray.py").write_text("raise OSError('the wrong one')")
    monkeypatch.chdir(tmp_path / "here")
    assert extra("ray").state == "works"


def test_a_broken_core_ends_with_status_1_and_its_repair(stub):
    stub("scipy", "1.11.0", "raise ImportError('libopenblas.so: cannot open')")
    done = subprocess.run([sys.executable, "-m", "cl_engine", "doctor"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert "\nthe core does not work; " in done.stdout
    assert "broken: ImportError: libopenblas.so: cannot open" in done.stdout
    assert "\n  pip install --force-reinstall --no-deps 'scipy>=1.10'\n" in done.stdout


def test_a_cache_that_cannot_be_written_is_told(doctor, monkeypatch):
    monkeypatch.setenv("CL_ENGINE_CACHE", "/dev/null/cache")
    status, text = doctor("--limit", "0")
    assert status == 0
    (line,) = (line for line in text.splitlines() if line.startswith("cache"))
    assert line.endswith("cannot be written")
    assert "\nto repair what does not work:\n  export CL_ENGINE_CACHE=FOLDER\n" in text


def test_every_requirement_of_the_package_is_tried_by_a_module_that_it_has():
    toml = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = toml.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {one.extra for one in requirements()} == {"", *project["optional-dependencies"]} - {*TOOLS}
    core = [one.package for one in requirements() if not one.extra]
    assert [package for package in core if not importlib.util.find_spec(MODULES.get(package, package))] == []
