"""A scenario file names parts; it runs no program, and nothing beside it stands in for what is installed."""

import itertools
import subprocess
import sys

import pytest

from cl_engine import ConfigError, Scenario
from cl_engine.kinds.problems import Problems
from cl_engine.kinds.registry import CONTRACTS, PACKAGES, SINGULAR, kinds, load

NUMBER = itertools.count()
PROGRAMS = [
    "subprocess:Popen",
    "subprocess:run",
    "os:system",
    "os:remove",
    "builtins:eval",
    "builtins:exec",
    "builtins:open",
    "pathlib:Path",
    "runpy:run_path",
    "shutil:rmtree",
    "collections:OrderedDict",
    "unittest.mock:MagicMock",
    "torch:load",
    "torch.nn:Linear",
    "cl_engine.engine:run",
    "cl_engine.scenarios.modifiers.imbalance:imbalance",
]
PLACES = {
    "data": ("data", "data source"),
    "stream": ("stream", "stream"),
    "strategy": ("strategy", "strategy"),
    "backbone": ("strategy.backbone", "backbone"),
    "codec": ("strategy.codec", "codec"),
    "aligned": ("memory.budget.backbone", "backbone"),
}


@pytest.fixture(autouse=True)
def _own_import_path(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def module(tmp_path):
    """Write a module of a name that no other test imported; return the name."""

    def write(source, folder=tmp_path):
        name = f"parts_of_test_{next(NUMBER)}"
        (folder / f"{name}.py").write_text(source)
        return name

    return write


def scenario(place, part):
    tree = {"data": "digits", "strategy": {"kind": "replay", "total": 10}}
    if place in ("backbone", "codec"):
        tree["strategy"][place] = part
    elif place == "aligned":
        tree["memory"] = {"budget": {"aligned_to": "single", "exemplars": 10, "backbone": part}}
    else:
        tree[place] = part
    return tree


def test_every_package_of_kinds_has_a_contract():
    assert set(CONTRACTS) == set(PACKAGES) == set(SINGULAR)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_own_kinds_keep_the_contract_that_a_users_must_keep(package):
    for kind, path in kinds(package).items():
        assert load(package, path) is load(package, kind)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_part_is_refused_in_one_line(place, program, tmp_path):
    canary = tmp_path / "canary"
    options = {"args": ["touch", str(canary)], "command": f"touch {canary}", "file": str(canary), "mode": "w"}
    key, what = PLACES[place]
    with pytest.raises(ConfigError) as raised:
        Scenario.load(scenario(place, {"kind": program, **options}))
    assert str(raised.value).startswith(f"scenario: {key}.kind: '{program}' is no {what}; allowed: a ")
    assert "\n" not in str(raised.value)
    assert not canary.exists()


@pytest.mark.parametrize("command", ["check", "run", "budget", "preview"])
@pytest.mark.parametrize("place", ["data", "backbone"])
def test_no_command_runs_what_a_file_names(command, place, tmp_path):
    part = "{kind: 'subprocess:Popen', args: [touch, CANARY]}"
    text = {
        "data": f"data: {part}\nstrategy: ncm\n",
        "backbone": f"data: digits\nstrategy: {{kind: ncm, backbone: {part}}}\n",
    }
    (tmp_path / "s.yaml").write_text(text[place])
    done = subprocess.run(
        [sys.executable, "-m", "cl_engine", command, "s.yaml"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "'subprocess:Popen' is no" in done.stderr
    assert [f.name for f in tmp_path.iterdir()] == ["s.yaml"]


def test_list_lists_kinds_and_imports_nothing_of_the_users(tmp_path):
    (tmp_path / "mine.py").write_text("open('canary', 'w')\n")
    done = subprocess.run(
        [sys.executable, "-m", "cl_engine", "list", "mine:Mine"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("cl-engine: Invalid value: there is nothing called 'mine:Mine'; allowed: data, ")
    assert done.stderr.endswith("(see cl-engine list --help)\n")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("place", "source", "complaint"),
    [
        ("stream", "def Part(targets, *, seed=0):\n    CANARY", "is no stream; allowed: a function annotated to return"),
        ("stream", "def Part(targets, *, seed=0) -> int:\n    CANARY", "is no stream; allowed: a function annotated"),
        ("stream", "def Part(targets) -> 'Nowhere':\n    CANARY", "cannot be read: NameError: name 'Nowhere' is not"),
        ("stream", "from cl_engine.scenarios.plan import StreamPlan\nclass Part(StreamPlan):\n    pass", "is no stream"),
        ("data", "def Part(*, args):\n    CANARY", "is no data source; allowed: a class with the methods labels() and load()"),
        ("data", "class Part:\n    def __init__(self, *, args):\n        CANARY\n    def load(self):\n        pass", "is no data source"),
        ("data", "class Part:\n    labels = load = 3\n    def __init__(self):\n        CANARY", "is no data source"),
        ("strategy", "class Part:\n    def __init__(self):\n        CANARY", "is no strategy; allowed: a subclass of"),
        ("strategy", "import cl_engine\nPart = cl_engine.Strategy()", "is no strategy"),
        ("strategy", "import cl_engine\nclass Part(cl_engine.Strategy):\n    def __init__(self, *, x: 'Nowhere' = 1):\n        CANARY", "cannot be read: NameError"),
        ("backbone", "def Part(shape):\n    CANARY", "is no backbone; allowed: a subclass of"),
        ("codec", "def Part():\n    CANARY", "is no codec; allowed: a subclass of"),
        ("strategy", "raise SystemExit(0)", "SystemExit: 0"),
        ("strategy", "1 / 0", "ZeroDivisionError: division by zero"),
        ("strategy", "import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
    ],
)  # fmt: skip
def test_a_users_own_part_must_be_what_it_stands_for(place, source, complaint, module, tmp_path):
    canary = tmp_path / "canary"
    name = module(source.replace("CANARY", f"open({str(canary)!r}, 'w')"))
    with pytest.raises(ConfigError) as raised:
        load_from(tmp_path, scenario(place, f"{name}:Part"))
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("written", "meant"), [("mine", "mine:Name"), ("mine.py", "mine:Name"), ("mine.py:M", "mine:M")]
)
def test_who_names_the_file_beside_the_scenario_is_told_the_name_of_what_is_in_it(written, meant, tmp_path):
    (tmp_path / "mine.py").write_text("open('canary', 'w')\n")
    with pytest.raises(ConfigError) as raised:
        load_from(tmp_path, {"data": "digits", "strategy": written})
    assert f"{written!r} names no strategy; allowed: {meant}, of mine.py" in str(raised.value)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "mine.py:M"])
def test_a_name_of_no_file_is_a_name_that_is_not_there(name, tmp_path):
    with pytest.raises(ConfigError, match=r"there is no (strategy|module)|cannot import"):
        Scenario.load({"data": "digits", "strategy": name})


SCRIPT = """
import cl_engine
from cl_engine.strategies.references.finetune import Finetune

open("imported", "a").write("x")

class Mine(Finetune):
    pass

tree = {"data": "digits", "strategy": "script:Mine", "training": {"epochs": 1}}
CALL
"""


@pytest.mark.parametrize(
    "call",
    [
        "cl_engine.run({**tree, 'memory': {'audit': 'process'}})",
        "cl_engine.sweep({**tree, 'sweep': {'seeds': 2}}, workers=2)",
    ],
)
def test_a_script_that_is_imported_for_its_strategy_does_not_run_the_engine_again(call, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT.replace("CALL", call))
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, cwd=tmp_path)
    assert f"cannot import 'script': {call.partition('(')[0]} is called while 'script' is imported" in done.stderr
    assert (tmp_path / "imported").read_text() == "xx"  # as the script, and once as the module


def load_from(folder, tree):
    import yaml

    (folder / "s.yaml").write_text(yaml.safe_dump(tree))
    return Scenario.load(folder / "s.yaml")


STREAM = """
from __future__ import annotations
import numpy as np
from cl_engine.scenarios.families.data_incremental import data_incremental
from cl_engine.scenarios.plan import StreamPlan

def backwards(targets: np.ndarray, *, parts: int = 2, seed: int = 0) -> StreamPlan:
    return data_incremental(targets, experiences=parts, seed=seed)
"""
DATA = """
from cl_engine.data.digits import Digits

class Quarter:
    def __init__(self, *, split: int = 4):
        self.split = split

    def labels(self):
        return Digits().labels()

    def load(self):
        return Digits().load()
"""


def test_a_users_own_stream_and_data_are_taken_with_their_options(module, tmp_path):
    stream, data = module(STREAM), module(DATA)
    tree = {
        "data": {"kind": f"{data}:Quarter", "split": 3},
        "stream": {"kind": f"{stream}:backwards", "parts": 3},
        "strategy": "ncm",
    }
    found = load_from(tmp_path, tree)
    assert len(found.plan) == 3
    assert found.source.split == 3


def test_objects_from_python_are_held_to_the_same_contracts():
    def family(targets, *, seed=0):
        raise AssertionError("called")

    with pytest.raises(ConfigError, match="is no stream; allowed: a function annotated to return"):
        Scenario.load({"data": "digits", "strategy": "ncm", "stream": {"kind": family}})
    with pytest.raises(ConfigError, match="is no backbone"):
        Scenario.load({"data": "digits", "strategy": {"kind": "finetune", "backbone": {"kind": subprocess.Popen}}})


def test_the_folder_joins_the_import_path_last_and_only_for_a_users_kind(module, tmp_path):
    before = [*sys.path]
    load_from(tmp_path, {"data": "digits", "strategy": "ncm"})
    assert sys.path == before
    name = module("from cl_engine.strategies.prototypes.ncm import NCM as Mine\n")
    load_from(tmp_path, {"data": "digits", "strategy": f"{name}:Mine"})
    assert sys.path[: len(before)] == before
    assert sys.path[len(before)] == str(tmp_path)


@pytest.mark.parametrize("kind", ["ncm", "own_beside:Mine"])
def test_a_module_beside_the_scenario_shadows_no_installed_one(kind, tmp_path):
    trap = f"open({str(tmp_path / 'canary')!r}, 'w')\nraise ImportError('shadowed')\n"
    for name in ("json", "torch", "numpy", "yaml", "tempfile", "safetensors", "cl_engine"):
        (tmp_path / f"{name}.py").write_text(trap)
    (tmp_path / "own_beside.py").write_text("from cl_engine.strategies.prototypes.ncm import NCM as Mine\n")
    (tmp_path / "s.yaml").write_text(f"data: digits\nstrategy: '{kind}'\nmemory: {{audit: process}}\n")
    command = [sys.executable, "-m", "cl_engine", "run", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "canary").exists()


def test_the_current_directory_is_searched_after_the_scenarios_folder(module, tmp_path, monkeypatch):
    source = "from cl_engine.strategies.prototypes.ncm import NCM\nclass Mine(NCM):\n    place = {!r}\n"
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    only_here = module(source.format("here"), here)
    both = module(source.format("here"), here)
    (there / f"{both}.py").write_text(source.format("there"))
    for name, place in [(only_here, "here"), (both, "there")]:
        assert load("strategies", f"{name}:Mine", there).place == place


@pytest.mark.parametrize("first", ["load", "path"])
def test_a_module_of_another_scenarios_folder_does_not_stand_in_for_the_one_beside(first, module, tmp_path):
    source = "from cl_engine.strategies.prototypes.ncm import NCM\nclass Mine(NCM):\n    place = {!r}\n"
    one, two, copy = (tmp_path / name for name in ("one", "two", "copy"))
    for folder in (one, two, copy):
        folder.mkdir()
    name = module(source.format("one"), one)
    (two / f"{name}.py").write_text(source.format("two"))
    (copy / f"{name}.py").write_text(source.format("one"))
    other = name if first == "load" else module(source.format("x"), one)  # else only their folder is on the path
    assert load("strategies", f"{other}:Mine", one)
    with pytest.raises(
        Problems, match=f"kind: '{name}' is {one}/{name}.py in this process, and {two}/{name}.py is"
    ):
        load("strategies", f"{name}:Mine", two)
    assert load("strategies", f"{name}:Mine", copy).place == "one"


def test_a_module_that_is_nowhere_is_reported_with_the_folders_searched(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    monkeypatch.chdir(here)
    for kind in ("nowhere_at_all:Mine", "nowhere_at_all.below:Mine"):
        with pytest.raises(Problems) as raised:
            load("strategies", kind, there)
        what = f"there is no module 'nowhere_at_all' in {there}, {here} or among the installed packages"
        assert str(raised.value) == f"kind: cannot import {kind.partition(':')[0]!r}: {what}"


@pytest.mark.parametrize(
    "kind", [":x", ":", "a:", ".a:b", "..:b", "json:", "json:a:b", "json:JSONDecoder.decode", "a b:c", "\n:x"]
)
def test_names_that_are_no_names_are_one_line(kind):
    with pytest.raises(ConfigError) as raised:
        Scenario.load({"data": "digits", "strategy": kind})
    assert "\n" not in str(raised.value)
