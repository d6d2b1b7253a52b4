"""The package as users get it: quick to import, one top-level name, the command line's promises."""

import importlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cl_engine.moved import MOVED

ROOT = Path(__file__).parent.parent


def python(code, **options):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **options)


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "cl_engine", *arguments], capture_output=True, text=True, **options
    )


@pytest.mark.parametrize(
    "code",
    [
        "import cl_engine",
        "import sys, cl_engine.cli; sys.argv = ['cl-engine', '--help']\ntry: cl_engine.cli.app.main()\nexcept SystemExit: pass",
    ],
)
def test_importing_and_help_load_nothing_heavy(code):
    heavy = "('torch', 'numpy', 'pydantic', 'sklearn', 'avalanche', 'altair', 'yaml')"
    done = python(code + f"\nimport sys; print([m for m in {heavy} if m in sys.modules])")
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_all_names_resolve_and_misses_are_attribute_errors():
    import cl_engine

    for name in cl_engine.__all__:
        assert getattr(cl_engine, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cl_engine.nothing  # noqa: B018


def test_the_wheel_has_one_top_level_package_with_its_data(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, ROOT]
    done = subprocess.run(build, capture_output=True, text=True)
    if "setuptools" in done.stderr and done.returncode:
        pytest.skip("building a wheel without isolation needs setuptools in this environment")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0] for n in names if ".dist-info" not in n} == {"cl_engine"}
    assert {"cl_engine/py.typed", "cl_engine/scenarios/quickstart.yaml"} <= set(names)
    unpacked = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(unpacked)
    run = python(
        "import sys; sys.path.insert(0, sys.argv[1]) if len(sys.argv) > 1 else None;"
        f"sys.path.insert(0, {str(unpacked)!r}); import cl_engine; print(cl_engine.__file__)",
        cwd=tmp_path,
    )
    assert str(unpacked) in run.stdout


def test_the_four_part_names_are_relative_links():
    for name in ("scenarios", "strategies", "memory", "reports"):
        link = ROOT / name
        assert link.is_symlink()
        assert str(link.readlink()) == f"cl_engine/{name}"


def test_json_is_one_object_on_standard_output_and_nothing_else(tmp_path):
    done = command("run", "quickstart", "--set", "strategy=ncm", "--json", "--out", str(tmp_path))
    assert done.returncode == 0
    result = json.loads(done.stdout)
    assert result["status"] == "done"
    assert "experience 5/5" in done.stderr
    listed = json.loads(command("list", "--json").stdout)
    assert {s["name"] for s in listed["strategies"]} >= {"finetune", "joint", "replay", "ncm", "g-acil"}
    assert all(s["description"] for kinds in listed.values() for s in kinds)
    assert json.loads(command("check", "quickstart", "--json").stdout)["experiences"] == 5
    assert "properties" in json.loads(command("schema").stdout)


def test_what_a_strategy_prints_stays_out_of_the_result(tmp_path):
    (tmp_path / "loud.py").write_text(
        "from cl_engine.strategies.prototypes.ncm import NCM\nprint('imported')\n\n\nclass Loud(NCM):\n"
        "    def learn(self, task, samples):\n        print('learning')\n        super().learn(task, samples)\n"
    )
    (tmp_path / "s.yaml").write_text("data: digits\nstrategy: loud:Loud\n")
    done = command("run", str(tmp_path / "s.yaml"), "--json", "--out", str(tmp_path))
    assert json.loads(done.stdout)["status"] == "done"
    assert "learning" in done.stderr


@pytest.mark.parametrize(
    "override", ["strategy.total=1e25", "strategy.total=10000000000000000000000000", "memory.budget=99999999999999999999999",
                 "memory.budget=999999999999999999 GiB", "training.lr=1e300", "stream.experiences=100000000000000000000"]
)  # fmt: skip
def test_numbers_beyond_reason_are_refused(override, tmp_path):
    done = command("check", "quickstart", "--set", "strategy=replay", "--set", "stream=gcil", "--set", override)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_runs_of_one_stream_are_compared(tmp_path):
    for strategy in ("ncm", "{kind: g-acil, width: 100}"):
        done = command("run", "quickstart", "--set", f"strategy={strategy}", "--out", str(tmp_path))
    assert "all runs of this stream" in done.stdout
    assert done.stdout.index("g-acil") < done.stdout.index("ncm")
    assert "run: " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "start"),
    [
        (["run", "no.yaml"], 2, "no.yaml: there is no such file"),
        (["run"], 2, "cl-engine: Missing argument"),
        (["walk"], 2, "cl-engine: No such command"),
        (["run", "quickstart", "--bad"], 2, "cl-engine: No such option"),
        (["list", "stratgies"], 2, "cl-engine: Invalid value"),
        (
            ["check", "quickstart", "--set", "strategy=icarll"],
            2,
            "--set 'strategy=icarll': strategy.kind: there is no",
        ),
        (["run", "quickstart", "--set", "training.lr=1e9", "--set", "strategy=finetune"], 1, None),
        (["run", "quickstart", "--set", "strategy=joint", "--set", "memory.budget=110 KiB"], 3, None),
        (
            ["run", "quickstart", "--set", "strategy=joint", "--set", "memory.budget=100 KiB"],
            2,
            "--set 'memory.budget=100 KiB': memory.budget: after experience 3 the strategy holds at least 102,424",
        ),
    ],
)
def test_wrong_input_is_one_line_and_a_status(arguments, status, start, tmp_path):
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if start:
        assert done.stderr.startswith(start)
        assert len(done.stderr.splitlines()) == 1
    if status == 3:
        assert "over the budget of 112,640" in done.stderr
        assert "exemplars" in done.stderr.splitlines()[-6:][0] + done.stderr


def test_a_strategy_of_the_users_own_is_found_beside_the_scenario(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom cl_engine import Strategy\n\n\nclass Majority(Strategy):\n"
        "    def begin(self, task):\n        self.classes = task.seen_classes\n"
        "        if task.index == 0:\n            self.hold('counts', torch.zeros(0))\n"
        "        self.counts = torch.cat([self.counts, torch.zeros(task.seen_classes - len(self.counts))])\n"
        "    def learn(self, task, samples):\n        self.counts += torch.bincount(samples.y, minlength=len(self.counts))\n"
        "    def predict(self, x):\n        return self.counts.expand(len(x), -1)\n"
    )
    (tmp_path / "s.yaml").write_text("data: digits\nstrategy: mine:Majority\nmemory: {audit: process}\n")
    done = command("run", str(tmp_path / "s.yaml"), "--json", "--out", str(tmp_path / "runs"), cwd="/")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["memory"]["held_bytes"][-1] == 40
    (directory,) = (tmp_path / "runs").iterdir()
    assert (directory / "mine.py").exists()
    broken = tmp_path / "b.yaml"
    broken.write_text("data: digits\nstrategy: mine:Majorty\n")
    done = command("check", str(broken), cwd="/")
    assert done.stderr.startswith(
        f"{broken}:2:11: strategy.kind: module 'mine' has no class or function 'Majorty', did"
    )


@pytest.mark.parametrize("old", MOVED)
def test_a_path_of_version_0_1_is_the_module_where_it_is_now(old):
    now = importlib.import_module(MOVED[old])
    assert importlib.import_module(old) is now
    assert now.__spec__.name == MOVED[old]
