"""The scheduler, over an executor that loses cells on purpose; and sweeps of real processes that are killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

import cl_engine
from cl_engine.errors import InputError
from cl_engine.reports.results import read_results
from cl_engine.running.start import command
from cl_engine.running.store import RunDirectory
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.sweeping.cells import sweep_of
from cl_engine.sweeping.executors import Event, Job, Serial
from cl_engine.sweeping.scheduler import Scheduler, status_of
from cl_engine.sweeping.sweep import run_sweep
from tests.sweeping.watching import Silent, content

SCENARIO = {
    "name": "tiny",
    "data": {"kind": "gaussian", "classes": 4, "features": 8, "samples_per_class": 20},
    "stream": {"step": 2},
    "strategy": "ncm",
    "training": {"epochs": 1},
    "sweep": {"strategy": ["ncm", "finetune", {"kind": "replay", "total": 8}], "seeds": 2},
}


class Losing(Serial):
    """Runs cells here, but says of the first ``times`` of each that their process died."""

    def __init__(self, times):
        super().__init__()
        self.times, self.lost = times, {}

    def events(self, timeout):
        job = self._job
        if job is not None and self.lost.get(job.cell, 0) < self.times:
            self.lost[job.cell] = self.lost.get(job.cell, 0) + 1
            self._job = None
            yield Event(job.cell, "progress", {"done": 1, "of": 2})
            yield Event(job.cell, "lost", {"why": "its process was killed by SIGKILL, probably out of memory"})
        else:
            yield from super().events(timeout)


def scheduled(folder, executor, scenario=SCENARIO, **options):
    watcher = Silent()
    sweep = sweep_of(scenario)
    outcome = Scheduler(sweep.cells, folder, executor, watcher, source=scenario, **options).run()
    return outcome, watcher


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    outcome, _ = scheduled(folder, Serial())
    assert outcome.states == {"done": 6, "unfinished": 0}
    return folder


def test_a_process_that_dies_once_costs_nothing(tmp_path, undisturbed):
    outcome, watcher = scheduled(tmp_path, Losing(1))
    assert outcome.states["done"] == 6
    assert content(tmp_path) == content(undisturbed)
    assert [state for _, state, _ in watcher.ends] == ["done"] * 6


def test_a_process_that_dies_twice_is_a_failure_that_stops_no_other(tmp_path):
    outcome, watcher = scheduled(tmp_path, Losing(2))
    assert outcome.states["failed"] == 6
    assert all("killed by SIGKILL" in why and "twice" in why for _, _, why in watcher.ends)
    assert len([*tmp_path.glob("*/failed.json")]) == 6


def test_finished_cells_are_not_run_again_and_half_finished_ones_go_on(tmp_path, undisturbed):
    folder = tmp_path / "again"
    shutil.copytree(undisturbed, folder)
    begun = {path: path.stat().st_mtime_ns for path in folder.glob("*/result.json")}
    outcome, watcher = scheduled(folder, Serial())
    assert watcher.counts == (6, 6, 0, 0)
    assert outcome.states["done"] == 6
    assert begun == {path: path.stat().st_mtime_ns for path in folder.glob("*/result.json")}


def test_a_failed_cell_is_one_line_keeps_its_traceback_and_is_tried_again_only_when_asked(tmp_path):
    scenario = {**SCENARIO, "sweep": {"strategy": ["ncm", "finetune"]}, "training": {"epochs": 1, "lr": 1e9}}
    scenario["data"] = {**SCENARIO["data"], "separation": 1e6}
    outcome, watcher = scheduled(tmp_path, Serial(), scenario)
    assert (outcome.states["done"], outcome.states["failed"]) == (1, 1)
    ((_, _, why),) = [end for end in watcher.ends if end[1] == "failed"]
    assert "\n" not in why
    assert "training loss" in why
    (failed,) = tmp_path.glob("*/failed.json")
    assert "Traceback" in json.loads(failed.read_text())["traceback"]
    _, watcher = scheduled(tmp_path, Serial(), scenario)
    assert watcher.counts == (2, 1, 0, 1)
    assert watcher.ends == []
    _, watcher = scheduled(tmp_path, Serial(), scenario, retry_failed=True)
    assert [state for _, state, _ in watcher.ends] == ["failed"]


def test_fail_fast_ends_after_the_first_failure(tmp_path):
    outcome, watcher = scheduled(tmp_path, Losing(2), fail_fast=True)
    assert outcome.states["failed"] == 1
    assert not outcome.interrupted
    assert outcome.states["unfinished"] == 5
    assert len(watcher.ends) == 1


def test_an_impossible_budget_is_told_before_anything_runs(tmp_path):
    scenario = {**SCENARIO, "sweep": {"memory.budget": ["1 KiB", "1 MiB"], "strategy": ["finetune"]}}
    outcome, watcher = scheduled(tmp_path, Serial(), scenario)
    assert watcher.counts == (2, 0, 1, 0)
    assert outcome.states["impossible"] == 1
    assert outcome.states["done"] == 1


def test_cells_that_are_the_same_run_are_run_once():
    sweep = sweep_of({**SCENARIO, "sweep": {"strategy": ["ncm", {"kind": "ncm"}, "ncm"]}})
    assert len(sweep.cells) == 1
    assert sweep.notes == ["2 cells are the same run as another and were left out"]


def test_a_wrong_cell_is_told_before_anything_runs():
    with pytest.raises(cl_engine.ConfigError, match=r"unknown option.*cell 1"):
        sweep_of({**SCENARIO, "sweep": {"strategy.total": [5]}})


def test_a_run_that_another_process_holds_is_left_to_it_and_counted_once_it_is_done(tmp_path):
    sweep = sweep_of({**SCENARIO, "sweep": {"strategy": ["ncm"]}})
    (cell,) = sweep.cells
    other = RunDirectory(tmp_path / cell.directory, cell.scenario.identity)

    class Waiting(Silent):
        def left(self, seconds):  # between two turns the other process ends
            if other_is_open.pop() if other_is_open else False:
                other.close()

    other_is_open = [True]
    outcome = Scheduler(sweep.cells, tmp_path, Serial(), Waiting(), source=sweep.source).run()
    assert outcome.states["done"] == 1


def test_two_processes_and_one_hold_the_same_bits(tmp_path, undisturbed):
    outcome = run_sweep(sweep_of(SCENARIO), tmp_path, Silent(), workers=2, threads=1)
    assert outcome.states["done"] == 6
    results = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.glob("*/checkpoint.safetensors")}
    assert results == {
        p.relative_to(undisturbed): p.read_bytes() for p in undisturbed.glob("*/checkpoint.safetensors")
    }
    assert status_of(sweep_of(SCENARIO).cells[0], tmp_path).state == "done"


def test_a_sweep_killed_anywhere_ends_as_an_undisturbed_one(tmp_path, undisturbed):
    file = tmp_path / "tiny.yaml"
    file.write_text(json.dumps(SCENARIO))  # JSON is YAML
    command = [
        sys.executable,
        "-m",
        "cl_engine",
        "sweep",
        str(file),
        "--out",
        str(tmp_path / "out"),
        "--workers",
        "2",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(cl_engine.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    rng = random.Random(0)
    for kill in ("parent", "worker", "group"):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True)
        line = process.stderr.readline()  # how many cells there are: it is about to run them
        for _ in range(rng.randrange(3)):
            line = process.stderr.readline() or line
        children = _children(process.pid)
        if kill == "worker" and children:
            os.kill(children[0], signal.SIGKILL)
            process.communicate(timeout=120)
        else:
            (os.killpg if kill == "group" else os.kill)(process.pid, signal.SIGKILL)
            process.communicate(timeout=120)
        _wait_for_end(children)
    done = subprocess.run(command, env=environment, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert "6 done" in done.stdout
    held = {p.parent.name: p.read_bytes() for p in (tmp_path / "out" / "tiny").glob("*/checkpoint.safetensors")}
    assert held == {p.parent.name: p.read_bytes() for p in undisturbed.glob("*/checkpoint.safetensors")}


def _children(pid):
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _wait_for_end(pids):
    """Workers whose sweep is gone end by themselves; without that a later sweep would find their runs locked."""
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/fd").exists() and os.path.exists(f"/proc/{pid}/exe") for pid in pids):
        assert time.monotonic() < deadline, "a worker outlives its sweep"
        os.sched_yield()


def test_a_worker_that_nobody_listens_to_ends_and_its_cell_has_not_failed(tmp_path):
    (cell, *_) = sweep_of(SCENARIO).cells
    worker = subprocess.Popen(
        command("cl_engine.sweeping.worker", "work"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    worker.stdout.close()
    changes = {**cell.assignments, "sweep": None, "name": "tiny"}
    job = Job(cell.number, cell.scenario.id, SCENARIO, (), changes, str(tmp_path), cell.directory)
    worker.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
    worker.stdin.flush()
    assert worker.wait(timeout=120) == 1
    worker.stdin.close()
    assert not [*tmp_path.glob("*/failed.json")]


def test_a_cell_of_other_code_or_with_damaged_files_begins_anew_and_keeps_what_was_there(tmp_path, undisturbed):
    folder = tmp_path / "tiny"
    shutil.copytree(undisturbed, folder)
    first, second, *_ = sorted(path.parent for path in folder.glob("*/result.json"))
    (first / "result.json").write_text("garbage")
    (second / "result.json").unlink()
    (second / "checkpoint.safetensors").write_bytes(b"garbage")
    outcome, watcher = scheduled(folder, Serial())
    assert watcher.counts == (6, 4, 0, 0)
    assert outcome.states["done"] == 6
    assert (folder / f"{first.name}.1" / "result.json").read_text() == "garbage"
    assert len([run for run in read_results(folder).runs if run.status == "done"]) == 6


def test_runs_of_an_earlier_form_of_the_sweep_are_left_out_of_its_results(tmp_path):
    for step in (2, 1):
        cl_engine.sweep({**SCENARIO, "stream": {"step": step}}, out=tmp_path, workers=0)
    results = read_results(tmp_path / "tiny")
    assert {run.config["stream"]["step"] for run in results.runs} == {1}
    assert len(results.left_out) == 6
    assert {why for _, why in results.left_out} == {"it is no cell of the sweep as it is now"}


class Leaving(Finetune):
    """Ends the process, or is interrupted, while it learns."""

    how = SystemExit

    def learn(self, task, samples):
        raise self.how(0)


def test_a_strategy_that_ends_the_process_is_a_failed_cell(tmp_path):
    scenario = {**SCENARIO, "strategy": Leaving, "sweep": {"seeds": 2}}
    outcome, watcher = scheduled(tmp_path, Serial(), scenario)
    assert outcome.states["failed"] == 2
    assert all(why.startswith("SystemExit") for _, _, why in watcher.ends)


def test_an_interrupt_that_a_strategy_raises_in_a_worker_is_a_failed_cell(tmp_path):
    (tmp_path / "own.py").write_text(
        "from cl_engine.strategies.references.finetune import Finetune\n\n\n"
        "class Rude(Finetune):\n    def learn(self, task, samples):\n        raise KeyboardInterrupt\n"
    )
    file = tmp_path / "tiny.yaml"
    file.write_text(json.dumps({**SCENARIO, "strategy": "own:Rude", "sweep": {"seeds": 1}}))
    watcher = Silent()
    outcome = run_sweep(sweep_of(file), tmp_path / "out", watcher, workers=1)
    assert outcome.states["failed"] == 1
    assert watcher.ends[0][2] == "KeyboardInterrupt: the strategy raised it"


def test_an_interrupt_in_this_process_ends_the_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(Leaving, "how", KeyboardInterrupt)
    outcome, _ = scheduled(tmp_path, Serial(), {**SCENARIO, "strategy": Leaving, "sweep": {"seeds": 2}})
    assert outcome.interrupted
    assert outcome.states["unfinished"] == 2


def test_a_set_option_that_the_sweep_would_overwrite_is_refused():
    with pytest.raises(cl_engine.ConfigError, match="the sweep varies strategy"):
        sweep_of(SCENARIO, ["strategy=joint"])


def test_python_objects_are_for_this_process_alone(tmp_path):
    with pytest.raises(InputError, match="workers=0"):
        cl_engine.sweep({**SCENARIO, "strategy": Leaving, "sweep": {"seeds": 2}}, out=tmp_path, workers=2)
