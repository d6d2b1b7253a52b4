"""Run directories survive kills, full disks and strangers."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine.errors import InputError
from cl_engine.running.store import ResumeError, StoreError
from tests.stopping import StopAfter

SCENARIO = {
    "name": "kill",
    "data": "digits",
    "strategy": {"kind": "replay", "selection": "herding", "total": 60},
    "training": {"epochs": 3},
}

# Every run of this driver is a forked child with one thread (nothing of torch's thread pools exists before the fork).
# One child runs whole; the others are killed after a random moment and followed by the next, which resumes.
DRIVER = """
import json, os, random, signal, sys, time
import torch, torch._dynamo, cl_engine, cl_engine.engine, sklearn.datasets
torch.set_num_threads(1)
scenario, base, kills = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def child(out):
    pid = os.fork()
    if pid == 0:
        cl_engine.run(scenario, out=f"{base}/{out}", resume=True)
        os._exit(0)
    return pid

begun = time.perf_counter()
assert os.waitpid(child("whole"), 0)[1] == 0
span = 1.2 * (time.perf_counter() - begun)
draw, killed, rounds = random.Random(0), 0, 0
while True:
    pid = child(f"killed-{rounds}")
    if killed < kills:
        time.sleep(draw.uniform(0, span))
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        killed += 1
        continue
    assert status == 0, status
    rounds += 1  # this run is finished; if kills are left, another begins
    if killed == kills:
        break
print(killed)
"""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return cl_engine.run(SCENARIO, out=tmp_path_factory.mktemp("whole"))


def files(record):
    return (record.directory / "checkpoint.safetensors").read_bytes()


def test_twenty_kills_at_random_moments_change_nothing(tmp_path):
    driver = [sys.executable, "-c", DRIVER, json.dumps(SCENARIO), str(tmp_path), "20"]
    done = subprocess.run(driver, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.stdout.strip() == "20", done.stderr
    whole, *resumed = (cl_engine.RunRecord.load(d) for d in sorted(tmp_path.glob("*/kill-*"), reverse=True))
    assert "whole" in str(whole.directory)
    assert resumed
    for record in resumed:
        assert files(record) == files(whole)
        assert record.metrics == whole.metrics
        assert record.accuracy == whole.accuracy
        assert record.memory == whole.memory


def stopped(out, experiences):
    watch = StopAfter(experiences)
    with pytest.raises(KeyboardInterrupt):
        cl_engine.run(SCENARIO, out=out, reporter=watch)
    return watch.directory


@pytest.mark.parametrize("experiences", [1, 3, 5])
def test_a_stopped_run_resumes_to_the_same_bits(experiences, tmp_path, uninterrupted):
    stopped(tmp_path, experiences)
    watch = StopAfter(99)
    record = cl_engine.run(SCENARIO, out=tmp_path, resume=True, reporter=watch)
    assert watch.done == experiences
    assert files(record) == files(uninterrupted)
    assert record.metrics == uninterrupted.metrics


def test_resuming_where_nothing_is_says_so_and_names_the_runs_that_may_have_been_meant(tmp_path):
    other = stopped(tmp_path, 1)
    (tmp_path / f"{other.name.rpartition('-')[0]}-of-another-name-{'0' * 12}").mkdir()
    watch = StopAfter(1)
    with pytest.raises(KeyboardInterrupt):
        cl_engine.run(SCENARIO, out=tmp_path, resume=True, reporter=watch, seed=99)
    assert watch.note == (
        f"{watch.directory} holds no finished experience, so the run begins anew (runs of other options or data: "
        f"{other.name})"
    )
    watch = StopAfter(1)
    with pytest.raises(KeyboardInterrupt):
        cl_engine.run(SCENARIO, out=tmp_path, resume=True, reporter=watch)
    assert (watch.done, watch.note) == (1, None)


@pytest.mark.parametrize("step", ["line written", "index written"])
def test_a_kill_between_the_writes_of_a_commit(step, tmp_path, uninterrupted):
    directory = stopped(tmp_path, 2)
    state, index = (directory / name for name in ("checkpoint.safetensors", "checkpoint.json"))
    old_state, old_index = state.read_bytes(), index.read_bytes()
    watch = StopAfter(1)
    with pytest.raises(KeyboardInterrupt):
        cl_engine.run(SCENARIO, out=tmp_path, resume=True, reporter=watch)
    state.write_bytes(old_state)  # as if the last replacement had not happened
    if step == "line written":
        index.write_bytes(old_index)
        with open(directory / "experiences.jsonl", "ab") as lines:
            lines.write(b'{"experience": 3, "torn')
    record = cl_engine.run(SCENARIO, out=tmp_path, resume=True)
    assert files(record) == files(uninterrupted)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda d: flip(d / "checkpoint.safetensors"), "does not match its checksum"),
        (lambda d: os.truncate(d / "checkpoint.safetensors", 100), "does not match its checksum"),
        (lambda d: flip(d / "experiences.jsonl"), "experiences.jsonl: does not match its checksum"),
        (lambda d: (d / "experiences.jsonl").unlink(), "experiences.jsonl: does not match its checksum"),
        (lambda d: (d / "checkpoint.json").write_text("{"), "checkpoint.json: is missing or damaged"),
        (lambda d: (d / "checkpoint.json").write_text('{"checkpoints": [{"sha256": []}]}'), "missing or damaged"),
        (lambda d: (d / "checkpoint.json").unlink(), "checkpoint.json: is missing or damaged"),
        (lambda d: edit(d, "format", 99), "format 99"),
        (lambda d: edit(d, "run", "another"), "belongs to another run: its run differs"),
        (lambda d: edit(d, "fingerprint", "another"), "its fingerprint differs"),
    ],
)
def test_damaged_and_foreign_checkpoints_are_refused_with_the_reason(damage, reason, tmp_path):
    directory = stopped(tmp_path, 2)
    damage(directory)
    with pytest.raises(ResumeError, match=reason):
        cl_engine.run(SCENARIO, out=tmp_path, resume=True)


def edit(directory, key, value):
    path = directory / "checkpoint.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


def test_another_runs_checkpoint_is_refused(tmp_path):
    mine = stopped(tmp_path / "mine", 2)
    other = cl_engine.run({**SCENARIO, "strategy": "ncm"}, out=tmp_path / "other").directory
    for name in ("checkpoint.safetensors", "checkpoint.json", "experiences.jsonl"):
        shutil.copy(other / name, mine / name)
    with pytest.raises(ResumeError, match="belongs to another run"):
        cl_engine.run(SCENARIO, out=tmp_path / "mine", resume=True)


def test_a_lost_checkpoint_is_refused_and_its_records_are_kept(tmp_path):
    directory = stopped(tmp_path, 3)
    (directory / "checkpoint.safetensors").unlink()
    with pytest.raises(ResumeError, match="is missing, so the run cannot be continued"):
        cl_engine.run(SCENARIO, out=tmp_path, resume=True)
    assert len((directory / "experiences.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("experiences", [1, 99])
def test_other_data_under_the_same_name_is_another_run(tmp_path, experiences):
    def save(seed):
        x, y = np.random.RandomState(seed).rand(40, 3), np.arange(40) % 4
        np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y)

    scenario = {"data": {"kind": "npz", "path": str(tmp_path / "d.npz")}, "strategy": "ncm"}
    save(0)
    with contextlib.suppress(KeyboardInterrupt):
        cl_engine.run(scenario, out=tmp_path, reporter=StopAfter(experiences))
    save(1)
    with pytest.raises(ResumeError, match="belongs to another run: its data differs"):
        cl_engine.run(scenario, out=tmp_path, resume=True)


def test_other_code_under_the_same_name_is_another_run(tmp_path):
    source = "from cl_engine.strategies.prototypes.ncm import NCM\n\n\nclass Mine(NCM):\n    pass\n"
    (tmp_path / "mine_to_edit.py").write_text(source)
    (tmp_path / "s.yaml").write_text("data: digits\nstrategy: mine_to_edit:Mine\n")
    cl_engine.run(tmp_path / "s.yaml", out=tmp_path)
    (tmp_path / "mine_to_edit.py").write_text(source + "    edited = True\n")
    with pytest.raises(ResumeError, match="its code differs"):
        cl_engine.run(tmp_path / "s.yaml", out=tmp_path, resume=True)


class Unchanging(cl_engine.Strategy):
    """Holds the same bytes after every experience but the first."""

    def begin(self, task):
        self.classes = task.seen_classes
        if task.index == 0:
            self.hold("begun", torch.zeros(1))

    def learn(self, task, samples):
        self.begun = torch.ones(1)

    def predict(self, x):
        return torch.zeros(len(x), self.classes)


UNCHANGING = {"name": "same", "data": "digits", "strategy": Unchanging}


@pytest.mark.parametrize("experiences", [1, 2, 3, 4, 5])
def test_experiences_that_hold_the_same_bytes_are_all_resumed(experiences, tmp_path):
    whole = cl_engine.run(UNCHANGING, out=tmp_path / "whole")
    digests = {file_digest(tmp_path / "whole")}
    with pytest.raises(KeyboardInterrupt):
        cl_engine.run(UNCHANGING, out=tmp_path / "again", reporter=StopAfter(experiences))
    assert {file_digest(tmp_path / "again")} == digests
    watch = StopAfter(99)
    record = cl_engine.run(UNCHANGING, out=tmp_path / "again", resume=True, reporter=watch)
    assert watch.done == experiences
    assert record.accuracy == whole.accuracy
    assert record.memory == whole.memory


def file_digest(out):
    (state,) = out.glob("*/checkpoint.safetensors")
    return hashlib.sha256(state.read_bytes()).hexdigest()


def test_a_kill_before_the_index_loses_no_experience_that_holds_the_same_bytes(tmp_path):
    """The line of a third experience is written, its checkpoint is not named: two are finished, not one."""
    with pytest.raises(KeyboardInterrupt):
        cl_engine.run(UNCHANGING, out=tmp_path, reporter=StopAfter(2))
    (lines,) = tmp_path.glob("*/experiences.jsonl")
    with open(lines, "ab") as file:
        file.write(lines.read_bytes().splitlines(keepends=True)[-1])
    watch = StopAfter(99)
    cl_engine.run(UNCHANGING, out=tmp_path, resume=True, reporter=watch)
    assert watch.done == 2


def test_the_checksum_of_a_result_is_that_of_everything_else_in_it(uninterrupted):
    result = json.loads((uninterrupted.directory / "result.json").read_text())
    assert list(result)[-1] == "sha256"
    found = result.pop("sha256")
    text = json.dumps(result, sort_keys=True, separators=(",", ":"))
    assert found == hashlib.sha256(text.encode()).hexdigest()
    assert uninterrupted.to_dict() == {**result, "sha256": found}


def rewrite(path, change):
    result = json.loads(path.read_text())
    change(result)
    path.write_text(json.dumps(result))


DEEP = "[" * 100_000
DAMAGES = [
    lambda p: os.truncate(p, 0),
    lambda p: os.truncate(p, 1000),
    lambda p: p.write_text(DEEP),
    lambda p: p.write_text('{"a": ' * 100_000),
    lambda p: p.write_text("[]"),
    lambda p: p.write_text("{}"),
    lambda p: p.write_text('"sha256"'),
    lambda p: p.write_text('["sha256"]'),
    lambda p: p.write_text('{"status": "done"}'),
    lambda p: p.write_bytes(b"\xff\xfe"),
    lambda p: rewrite(p, lambda r: r.pop("sha256")),
    lambda p: rewrite(p, lambda r: r["metrics"].update(average_accuracy=1.0)),
    lambda p: rewrite(p, lambda r: r.update(more=1)),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_edited_result_is_neither_taken_as_finished_nor_loaded(damage, tmp_path):
    path = cl_engine.run(UNCHANGING, out=tmp_path).directory / "result.json"
    before = path.read_bytes()
    damage(path)
    with pytest.raises(ResumeError) as raised:
        cl_engine.run(UNCHANGING, out=tmp_path, resume=True)
    line = f"{path}: does not match its checksum; it is damaged or was edited"
    assert str(raised.value) == f"{line}; delete it, and the run is finished from its checkpoint"
    with pytest.raises(InputError) as raised:
        cl_engine.RunRecord.load(path.parent)
    assert str(raised.value) == line
    path.unlink()
    watch = StopAfter(99)
    cl_engine.run(UNCHANGING, out=tmp_path, resume=True, reporter=watch)
    assert watch.done == 5
    again, whole = json.loads(path.read_text()), json.loads(before)
    assert again["accuracy"] == whole["accuracy"]
    assert again["memory"] == whole["memory"]


def test_a_result_that_was_only_laid_out_anew_is_still_the_result(tmp_path):
    record = cl_engine.run(UNCHANGING, out=tmp_path)
    rewrite(record.directory / "result.json", lambda result: None)
    assert cl_engine.run(UNCHANGING, out=tmp_path, resume=True).to_dict() == record.to_dict()


@pytest.mark.parametrize("place", ["nowhere", "empty", "file", "other"])
def test_a_directory_without_a_run_is_one_line(place, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other" / "result.json").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as raised:
        cl_engine.RunRecord.load(tmp_path / place)
    assert str(raised.value).startswith(f"{tmp_path / place}/result.json: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    "name",
    ["config.yaml", "config.yaml.new", "experiences.jsonl", "checkpoint.safetensors", "checkpoint.safetensors.new",
     "checkpoint.json", "checkpoint.json.new", "result.json", ".lock"],
)  # fmt: skip
def test_a_directory_in_a_files_place_is_one_line_or_set_aside(name, resume, finished, tmp_path):
    directory = Path(cl_engine.run(UNCHANGING, out=tmp_path).directory)
    if not finished:
        (directory / "result.json").unlink()
    (directory / name).unlink(missing_ok=True)
    (directory / name / "kept").mkdir(parents=True)
    needed = name == "result.json" or (not finished and name != "config.yaml")
    if name == ".lock" or (resume and needed):
        with pytest.raises(StoreError) as raised:
            cl_engine.run(UNCHANGING, out=tmp_path, resume=resume)
        assert str(raised.value).startswith(f"{directory / name}: ")
        assert "\n" not in str(raised.value)
    else:
        assert cl_engine.run(UNCHANGING, out=tmp_path, resume=resume).to_dict()["status"] == "done"
    assert len([*tmp_path.glob(f"*/{name}/kept")]) == 1


@pytest.mark.parametrize("content", [DEEP, "{", "[]", "3", "null", '{"checkpoints": [[]]}', '{"checkpoints": 3}',
                                     '{"checkpoints": [{"experience": "a", "sha256": "b", "lines_sha256": "c"}]}'])  # fmt: skip
def test_an_index_that_is_no_index_is_one_line(content, tmp_path):
    directory = stopped(tmp_path, 2)
    (directory / "checkpoint.json").write_text(content)
    with pytest.raises(ResumeError) as raised:
        cl_engine.run(SCENARIO, out=tmp_path, resume=True)
    assert str(raised.value).startswith(f"{directory / 'checkpoint.json'}: is missing or damaged")


@pytest.mark.parametrize(
    "line", [DEEP, "{", "[]", "3", "null", "{}", '{"entries": [3]}', '{"entries": [{"kind": 1}]}']
)
@pytest.mark.parametrize("honest", [False, True], ids=["damaged", "with a checksum that fits"])
def test_lines_that_are_no_records_are_one_line(line, honest, tmp_path):
    directory = stopped(tmp_path, 2)
    lines, index = directory / "experiences.jsonl", directory / "checkpoint.json"
    first = lines.read_bytes().splitlines(keepends=True)[0]
    lines.write_bytes(first + line.encode() + b"\n")
    if honest:
        content = json.loads(index.read_text())
        content["checkpoints"][0]["lines_sha256"] = hashlib.sha256(lines.read_bytes()).hexdigest()
        index.write_text(json.dumps(content))
    with pytest.raises(ResumeError) as raised:
        cl_engine.run(SCENARIO, out=tmp_path, resume=True)
    assert str(raised.value).startswith(f"{lines}: ")
    assert "\n" not in str(raised.value)
    assert lines.read_bytes().startswith(first)


def test_a_finished_run_is_returned_and_a_new_one_sets_it_aside(tmp_path, uninterrupted):
    first = cl_engine.run(SCENARIO, out=tmp_path)
    before = (first.directory / "result.json").read_bytes()
    again = cl_engine.run(SCENARIO, out=tmp_path, resume=True)
    assert again.to_dict() == first.to_dict()
    watch = StopAfter(99)
    cl_engine.run(SCENARIO, out=tmp_path, reporter=watch)
    aside = Path(f"{first.directory}.1")
    assert "set aside" in watch.note
    assert (aside / "result.json").read_bytes() == before


def test_two_processes_cannot_write_one_directory(tmp_path):
    class Nested(StopAfter):
        def finished(self, line):
            with pytest.raises(StoreError, match="another process"):
                cl_engine.run(SCENARIO, out=tmp_path)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cl_engine.run(SCENARIO, out=tmp_path, reporter=Nested(1))


COMMAND = [sys.executable, "-m", "cl_engine", "run", "quickstart", "--set", "strategy=ncm"]


def test_a_full_disk_is_one_line_and_keeps_what_was_finished(tmp_path):
    """The limit on file sizes stands in for the full disk: writing fails with an OSError in both cases."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000));"
        "from cl_engine.cli.app import main; sys.argv = ['cl-engine', *sys.argv[1:]]; main()"
    )
    run = [sys.executable, "-c", code, "run", "quickstart", "--set", "strategy=ncm", "--out", str(tmp_path)]
    broken = subprocess.run(run, capture_output=True, text=True)
    assert broken.returncode == 1
    assert "Traceback" not in broken.stderr
    assert re.search(r"quickstart-\w+: cannot be written: .*File too large", broken.stderr.splitlines()[-1])
    fine = subprocess.run([*COMMAND, "--out", str(tmp_path), "--resume"], capture_output=True, text=True)
    assert fine.returncode == 0
    assert "resumed after experience" in fine.stderr


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = subprocess.run([*COMMAND, "--out", str(tmp_path / "file")], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"cl-engine: {tmp_path}/file/quickstart-{done.stderr.split('quickstart-')[1][:12]}: cannot be written: Not a directory"
    ]


def test_ctrl_c_says_how_to_resume(tmp_path):
    run = [sys.executable, "-m", "cl_engine", "run", "quickstart", "--out", str(tmp_path), "--set"]
    scenario = [*run, "strategy=joint", "--set", "training.epochs=400", "--set", "memory.budget=null"]
    # In the background of a shell tests ignore the signal, and children inherit that.
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    child = subprocess.Popen(scenario, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    signal.signal(signal.SIGINT, earlier)
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("experience 1/"):
            child.send_signal(signal.SIGINT)
            break
    rest = child.stderr.read()
    assert child.wait() == 130
    assert "continue with: cl-engine run quickstart" in rest
    assert rest.rstrip().endswith("--resume")
    assert "Traceback" not in rest


def test_a_run_can_be_run_again_from_its_own_directory_alone(tmp_path):
    (tmp_path / "again_mine.py").write_text(
        "from cl_engine.strategies.prototypes.ncm import NCM\n\n\nclass Mine(NCM):\n    pass\n"
    )
    (tmp_path / "s.yaml").write_text("data: digits\nstrategy: 'again_mine:Mine'\n")

    def run(file, out):
        command = [sys.executable, "-m", "cl_engine", "run", str(file), "--out", str(out), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    first = run(tmp_path / "s.yaml", tmp_path / "runs")
    (tmp_path / "again_mine.py").unlink()
    (directory,) = (tmp_path / "runs").iterdir()
    for out in (tmp_path / "elsewhere", tmp_path / "runs"):  # the second sets the directory's own files aside
        again = run(directory / "config.yaml", out)
        assert (again["id"], again["metrics"], again["identity"]) == (
            first["id"],
            first["metrics"],
            first["identity"],
        )
    assert (directory / "again_mine.py").exists()
