"""Several machines, tried on one: a Ray cluster of a head and two nodes runs a sweep, and sums over files.

The runs are those of a local sweep and the sums are NumPy's, to the bit, and still are when a node or a process is
killed while it has work.  ``python -m pytest -n 0 tests/test_several_machines.py`` shows it.
"""

import contextlib
import json
import os
import signal
import sys
import time

import numpy as np
import pytest

from cl_engine.cli import main
from cl_engine.errors import InputError
from cl_engine.statistics.sufficient import Shard, sum_over
from cl_engine.statistics.sufficient.symmetric import whole
from cl_engine.sweeping.cells import sweep_of
from cl_engine.sweeping.sweep import run_sweep
from tests.cluster import add_node, cluster_of
from tests.sweeping.watching import Silent, content

pytestmark = pytest.mark.ray

SAYS_WHERE = """
import os

from cl_engine.strategies.rehearsal.replay import Replay

try:
    import ray
except ImportError:
    ray = None


class Own(Replay):
    def learn(self, task, samples):
        if ray and ray.is_initialized():
            print("on", ray.get_runtime_context().get_node_id(), os.getpid())
        super().learn(task, samples)
"""
SCENARIO = {
    "name": "tiny",
    "data": {"kind": "gaussian", "classes": 8, "features": 8, "samples_per_class": 20},
    "stream": {"step": 2},
    "strategy": {"kind": "says_where:Own", "total": 8},
    "training": {"epochs": 1},
    "sweep": {"strategy.total": [8, 16], "seeds": 2},
}
SHARDS, ROWS, CLASSES = 12, 300, 4
AHEAD = 4  # shards that are handed out to two nodes of one core before the first is added
WIDTH = (
    200  # so that the sums of a shard are too large to travel with an answer, and stay on the node until asked for
)


@pytest.fixture(scope="module")
def shared():
    with cluster_of(0) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared):
    """The cluster of the module, with two nodes that live."""
    while len(shared.worker_nodes) < 2:
        add_node(shared)
    shared.wait_for_nodes()
    return shared


@pytest.fixture
def connected(cluster):
    import ray

    ray.init(address=cluster.address, log_to_driver=False)
    yield
    ray.shutdown()


def kill(cluster, name):
    (node,) = (node for node in cluster.worker_nodes if node.node_id == name)
    cluster.remove_node(node, allow_graceful=False)


class Watching(Silent):
    """Calls ``then`` with its number once, when the first cell has finished an experience of several."""

    def __init__(self, then):
        super().__init__()
        self.then = [then]

    def progress(self, number, done, of):
        if 0 < done < of and self.then:
            self.then.pop()(number)


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """The file of a sweep over a strategy that prints the node that it learns on, and what a local one holds."""
    (tmp_path / "says_where.py").write_text(SAYS_WHERE)
    file = tmp_path / "tiny.yaml"
    file.write_text(json.dumps(SCENARIO))
    monkeypatch.setattr(sys, "path", [*sys.path])
    outcome = run_sweep(sweep_of(file), tmp_path / "local", Silent(), workers=0)
    assert outcome.states["done"] == 4
    return file, content(tmp_path / "local")


def places(run):
    """Return the node and process that a run learned on, by experience."""
    return [line.split()[1:] for line in (run / "log.txt").read_text().splitlines() if line.startswith("on ")]


def test_a_sweep_runs_on_both_nodes_and_holds_what_a_local_one_holds(cluster, sweep, tmp_path, monkeypatch):
    file, expected = sweep
    command = ["cl-engine", "sweep", str(file), "--ray", cluster.address, "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    out = tmp_path / "out" / "tiny"
    assert content(out) == expected
    used = {place for run in out.glob("tiny-*") for place, _ in places(run)}
    assert used == {node.node_id for node in cluster.worker_nodes}


def test_a_sweep_that_loses_a_node_in_the_middle_holds_what_a_local_one_holds(cluster, sweep, tmp_path):
    file, expected = sweep
    cells, lost = sweep_of(file).cells, []

    def lose(number):
        (cell,) = (cell for cell in cells if cell.number == number)
        run = tmp_path / "out" / cell.directory
        node, process = places(run)[-1]
        lost.extend([run, node])
        kill(cluster, node)
        with contextlib.suppress(ProcessLookupError):  # which goes with its node, but may take its time
            os.kill(int(process), signal.SIGKILL)

    outcome = run_sweep(sweep_of(file), tmp_path / "out", Watching(lose), ray=cluster.address)
    assert outcome.states["done"] == 4
    assert content(tmp_path / "out") == expected
    run, node = lost
    first, last = dict.fromkeys(place for place, _ in places(run))
    assert first == node != last
    assert not [*run.glob("*.new")]


class Marks:
    """Leaves features as they are; writes down which shard was summed on which node.

    The first waits until both nodes have work, so that none is done before the other node is ready.
    """

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder

    def __call__(self, x):
        import ray

        (self.folder / f"{ray.get_runtime_context().get_node_id()}-{int(x[0, 0])}").touch()
        while len({name for name, _ in self.found()}) < 2:
            time.sleep(0.05)
        return x

    def found(self):
        """Return node and number of each shard that was summed."""
        return {(node, int(number)) for node, number in (p.name.split("-") for p in self.folder.iterdir())}


@pytest.fixture
def files(tmp_path):
    """Shards of whole numbers, whose sums are exact in every order, the first of each its number; G, Q and counts."""
    random, shards = np.random.RandomState(0), []
    x = random.randint(-8, 9, size=(SHARDS, ROWS, WIDTH)).astype("f4")
    y = random.randint(0, CLASSES, size=(SHARDS, ROWS))
    x[:, 0, 0] = np.arange(SHARDS)
    for number in range(SHARDS):
        shard = Shard(tmp_path / f"x{number}.npy", tmp_path / f"y{number}.npy")
        np.save(shard.features, x[number])
        np.save(shard.labels, y[number])
        shards.append(shard)
    x, y = x.reshape(-1, WIDTH).astype(float), y.reshape(-1)
    return shards, (x.T @ x, x.T @ np.eye(CLASSES)[y], np.bincount(y))


def same(sums, expected):
    gram, cross, counts = expected
    assert np.array_equal(whole(sums.gram).numpy(), gram)
    assert np.array_equal(sums.cross.numpy().T, cross)
    assert np.array_equal(sums.counts.numpy(), counts)


class KillsItsProcessOnce:
    """Does what ``then`` does, but the process that first calls it is killed on the spot."""

    def __init__(self, mark, then):
        self.mark, self.then = mark, then

    def __call__(self, x):
        try:
            os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return self.then(x)
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.usefixtures("connected")
def test_sums_over_files_are_numpys_though_a_process_and_then_a_node_is_killed(cluster, files, tmp_path):
    shards, expected = files
    kills = KillsItsProcessOnce(tmp_path / "killed", marks := Marks(tmp_path / "process"))
    same(sum_over(shards, WIDTH, CLASSES, expand=kills, ray=True), expected)
    assert kills.mark.exists(), "no process was killed"
    assert {node for node, _ in marks.found()} == {node.node_id for node in cluster.worker_nodes}
    with pytest.raises(InputError, match="allowed: 6 features"):
        sum_over(shards, 6, CLASSES, ray=True)

    marks = Marks(tmp_path / "node")

    def then_kill():
        """Kill the node that did not sum the first shard when that one has been added."""
        for number, shard in enumerate(shards):
            if number == AHEAD:
                (first,) = (node for node, summed in marks.found() if summed == 0)
                (other,) = {node for node, _ in marks.found()} - {first}
                kill(cluster, other)
            yield shard

    same(sum_over(then_kill(), WIDTH, CLASSES, expand=marks, ray=True), expected)
    assert len(marks.found()) > SHARDS, "nothing was lost"
