"""Sweeps on a Ray cluster of one node of this machine; tests/test_several_machines.py has several, and loses some."""

import json
import sys

import pytest

import cl_engine
from cl_engine.cli import main
from cl_engine.running.store import RunDirectory
from cl_engine.sweeping.cells import sweep_of
from cl_engine.sweeping.executors import Job, Serial
from cl_engine.sweeping.on_ray import OnRay
from cl_engine.sweeping.scheduler import Scheduler
from cl_engine.sweeping.sweep import run_sweep
from tests.cluster import cluster_of
from tests.sweeping.watching import Silent

SCENARIO = {
    "name": "tiny",
    "data": {"kind": "gaussian", "classes": 8, "features": 8, "samples_per_class": 20},
    "stream": {"step": 2},
    "strategy": "ncm",
    "training": {"epochs": 1},
    "sweep": {"strategy": ["ncm", "finetune", {"kind": "replay", "total": 8}], "seeds": 2},
}
OWN = """
from cl_engine.strategies.prototypes.ncm import NCM

print("a line of the strategy's own")


class Own(NCM):
    def learn(self, task, samples):
        print("learns", task.index)
        super().learn(task, samples)
"""


def held(folder):
    return {path.parent.name: path.read_bytes() for path in folder.glob("*/checkpoint.safetensors")}


def serially(folder, scenario=SCENARIO):
    outcome = run_sweep(sweep_of(scenario), folder, Silent(), workers=0)
    assert set(outcome.states.elements()) == {"done"}
    return held(folder)


def job(sweep, cell, folder):
    changes = {**cell.assignments, "sweep": None}
    return Job(cell.number, cell.scenario.id, sweep.source, (), changes, str(folder), cell.directory)


def until_the_end(executor):
    """Return the words of all events up to the last one of a cell."""
    said = []
    while not said or said[-1].what == "progress":
        said += executor.events(60)
    return said


def test_without_ray_there_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cl-engine", "sweep", "memory-sweep", "--cells", "1", "--ray", "auto"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("Ray is not installed; install it with: pip install 'cl-engine[ray]'")
    assert not (tmp_path / "sweeps").exists()


@pytest.mark.parametrize("options", [{"workers": 0, "ray": "auto"}, {"gpus_per_cell": 0.5}])
def test_options_that_contradict_each_other_are_told_before_anything_is_written(options, tmp_path):
    with pytest.raises(cl_engine.errors.InputError, match="allowed"):
        run_sweep(sweep_of(SCENARIO), tmp_path / "out", Silent(), **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_a_cluster_that_is_not_there_is_told_in_one_line(address, tmp_path):
    pytest.importorskip("ray", reason="no ray, so no cluster")
    with pytest.raises(cl_engine.errors.InputError, match=f"{address}.*cannot be reached.*allowed") as told:
        run_sweep(sweep_of(SCENARIO), tmp_path / "out", Silent(), ray=address)
    assert "\n" not in str(told.value)


@pytest.fixture(scope="module")
def cluster():
    with cluster_of(1) as made:
        yield made


@pytest.mark.ray
def test_a_cell_that_has_no_room_since_a_node_was_lost_waits_for_an_actor_that_is_idle(cluster, tmp_path):
    sweep = sweep_of({**SCENARIO, "sweep": {"seeds": 2}})
    executor = OnRay(cluster.address, sweep.cells, threads=1)
    try:
        for cell in sweep.cells:  # as if there had been two nodes
            executor.submit(job(sweep, cell, tmp_path))
        assert [until_the_end(executor)[-1].what for _ in sweep.cells] == ["done", "done"]
    finally:
        executor.close()
    assert held(tmp_path) == serially(tmp_path / "serial", sweep.source)


@pytest.mark.ray
def test_a_cell_whose_process_dies_goes_on_in_another_from_what_was_committed_here(cluster, tmp_path):
    sweep = sweep_of({**SCENARIO, "sweep": {"strategy": ["finetune"]}})
    (cell,) = sweep.cells
    executor = OnRay(cluster.address, sweep.cells, threads=1)
    try:
        assert executor.free == 1
        executor.submit(job(sweep, cell, tmp_path))
        assert executor.free == 0
        said = []
        while not said or said[-1].facts["done"] < 2:
            said += executor.events(60)
        (running,) = executor._running
        committed = len((tmp_path / cell.directory / "experiences.jsonl").read_text().splitlines())
        assert committed == 2
        executor._ray.kill(running.actor)
        last = until_the_end(executor)[-1]
        assert (last.what, executor.free) == ("lost", 1)
        assert "\n" not in last.facts["why"]
        executor.submit(job(sweep, cell, tmp_path))
        said = until_the_end(executor)
        assert (said[0].facts["done"], said[-1].what) in [(2, "done"), (3, "done")]
    finally:
        executor.close()
    assert held(tmp_path) == serially(tmp_path / "serial", sweep.source)


@pytest.mark.ray
def test_a_run_that_another_process_holds_is_left_to_it_and_one_that_it_finished_is_done(cluster, tmp_path):
    sweep = sweep_of({**SCENARIO, "sweep": {"strategy": ["ncm"]}})
    (cell,) = sweep.cells
    executor = OnRay(cluster.address, sweep.cells, threads=1)
    try:
        other = RunDirectory(tmp_path / cell.directory, cell.scenario.identity)
        executor.submit(job(sweep, cell, tmp_path))
        assert [event.what for event in executor.events(0)] == ["locked"]
        other.close()
        Scheduler(sweep.cells, tmp_path, Serial(), Silent(), source=sweep.source).run()
        executor.submit(job(sweep, cell, tmp_path))
        assert [event.what for event in executor.events(0)] == ["done"]
    finally:
        executor.close()


@pytest.mark.ray
def test_a_stop_ends_a_cell_after_an_experience_that_is_committed(cluster, tmp_path):
    sweep = sweep_of({**SCENARIO, "sweep": {"strategy": ["finetune"]}})
    (cell,) = sweep.cells
    executor = OnRay(cluster.address, sweep.cells, threads=1)
    try:
        executor.submit(job(sweep, cell, tmp_path))
        said = []
        while not said:
            said += executor.events(60)
        executor.stop()
        assert until_the_end(executor)[-1].what == "stopped"
    finally:
        executor.close()
    directory = RunDirectory(tmp_path / cell.directory, cell.scenario.identity)  # nobody holds it any more
    _, records = directory.resume()
    directory.close()
    assert 0 < len(records) < 4


@pytest.mark.ray
def test_the_users_own_module_goes_to_the_nodes_and_what_it_prints_comes_back(cluster, tmp_path, monkeypatch):
    (tmp_path / "own_of_ray.py").write_text(OWN)
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({**SCENARIO, "strategy": "own_of_ray:Own", "sweep": {"seeds": 2}}))
    sweep = sweep_of(file)
    monkeypatch.setattr(
        sys, "path", [entry for entry in sys.path if entry != str(tmp_path)]
    )  # as on another machine
    outcome = run_sweep(sweep, tmp_path / "out", Silent(), ray=cluster.address)
    assert outcome.states["done"] == 2
    logs = [path.read_text() for path in (tmp_path / "out").glob("*/log.txt")]
    assert all(
        [line for line in log.splitlines() if "learns" in line] == [f"learns {i}" for i in range(4)] for log in logs
    )
    assert sum("a line of the strategy's own" in log for log in logs) == 1  # imported once a process
    names = {path.name for path in next((tmp_path / "out").glob("tiny-*")).iterdir()}
    serial = serially(tmp_path / "serial", file)
    assert names - {"log.txt"} == {path.name for path in next((tmp_path / "serial").glob("tiny-*")).iterdir()}
    assert held(tmp_path / "out") == serial


@pytest.mark.ray
def test_a_failure_on_a_node_keeps_its_traceback_and_stops_no_other_cell(cluster, tmp_path):
    scenario = {**SCENARIO, "sweep": {"strategy": ["ncm", "finetune"]}, "training": {"epochs": 1, "lr": 1e9}}
    scenario["data"] = {**SCENARIO["data"], "separation": 1e6}
    outcome = run_sweep(sweep_of(scenario), tmp_path, Silent(), ray=cluster.address)
    assert (outcome.states["done"], outcome.states["failed"]) == (1, 1)
    (failed,) = tmp_path.glob("*/failed.json")
    assert "Traceback" in json.loads(failed.read_text())["traceback"]


@pytest.mark.ray
@pytest.mark.parametrize(
    ("options", "told"),
    [({"threads": 64}, "64 cores"), ({"gpus_per_cell": 0.5}, "0.5 GPUs"), ({"gpus_per_cell": 1.5}, "whole ones")],
)
def test_what_no_node_has_is_told_before_anything_is_written(options, told, cluster, tmp_path):
    with pytest.raises(cl_engine.errors.InputError, match=told):
        run_sweep(sweep_of(SCENARIO), tmp_path / "out", Silent(), ray=cluster.address, **options)
    assert not (tmp_path / "out").exists()
