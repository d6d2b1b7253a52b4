"""Cells that differ in their budget alone compute once what it does not touch; nobody can tell by what they leave."""

import hashlib
import json
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch

import cl_engine
from cl_engine.errors import InputError
from cl_engine.memory.ledger import MemoryContractError
from cl_engine.strategies.rehearsal.replay import Replay
from cl_engine.strategies.strategy import Strategy
from cl_engine.sweeping.cells import sweep_of
from cl_engine.sweeping.executors import SHARED, Event, Serial
from cl_engine.sweeping.running import run_cell
from cl_engine.sweeping.scheduler import Scheduler
from cl_engine.sweeping.sweep import run_sweep
from tests.sweeping.watching import Silent, content

GAUSSIAN = {"kind": "gaussian", "classes": 4, "features": 8, "samples_per_class": 20}
SCENARIO = {"name": "tiny", "data": GAUSSIAN, "stream": {"step": 2}, "training": {"epochs": 1, "batch_size": 8}}
SMALL = {"backbone": {"kind": "mlp", "width": 8}}
BUDGETS = ["8 KiB", "16 KiB", "64 KiB"]


def swept(folder, strategy, *, share=True, budgets=BUDGETS, **keys):
    scenario = {**SCENARIO, "strategy": strategy, "sweep": {"memory.budget": budgets, "seed": [0, 1]}, **keys}
    watcher = Silent()
    outcome = Scheduler(sweep_of(scenario).cells, folder, Serial(), watcher, source=scenario, share=share).run()
    return outcome, watcher


class Counted(Strategy):
    """Keeps the mean of all samples; counts in a list how often it learned."""

    learned: ClassVar[list] = []
    rooms: ClassVar[list] = []
    budget_decides = "nothing"

    def begin(self, task):
        if task.index == 0:
            self.hold("sums", torch.zeros(0, 8), kind="prototypes")
        self.sums = torch.cat([self.sums, torch.zeros(task.seen_classes - len(self.sums), 8)])

    def learn(self, task, samples):
        self.learned.append(task.index)
        self.rooms.append(task.exemplar_room(self))
        self.sums.index_add_(0, samples.y, samples.x)

    def predict(self, x):
        return x @ self.sums.T


class Seen(Counted):
    """As its parent, but says nothing of the budget itself."""


@pytest.fixture(autouse=True)
def nothing_learned():
    Counted.learned.clear()
    Counted.rooms.clear()


@pytest.mark.parametrize(
    "strategy",
    [
        "ncm",
        {"kind": "finetune", **SMALL},
        {"kind": "joint", **SMALL},
        {"kind": "g-acil", "width": 16},
        {"kind": "replay", "selection": "herding", **SMALL},
        {"kind": "icarl", **SMALL},
        {"kind": "memo", **SMALL},
        {"kind": "lwf", **SMALL},
        {"kind": "wa", **SMALL},
        {"kind": "bic", **SMALL},
        {"kind": "der-expandable", **SMALL},
        {"kind": "foster", **SMALL},
        {"kind": "lucir", **SMALL},
        {"kind": "podnet", **SMALL},
    ],
    ids=str,
)
def test_sharing_changes_no_byte(strategy, tmp_path):
    for share in (True, False):
        swept(tmp_path / str(share), strategy, share=share, budgets=["4 KiB", "8 KiB", "64 KiB", None])
    assert content(tmp_path / "True") == content(tmp_path / "False")


def test_weights_that_training_laid_out_anew_are_taken_over_to_the_last_bit(tmp_path):
    """Features of channels-last weights differ in their last bits, and with them the order of herding."""
    data = {"data": "digits", "stream": {"step": 5, "delivery": "offline"}}
    training = {"epochs": 1, "precision": "bf16", "augmentation": "standard"}
    strategy = {"kind": "replay", "selection": "herding", "backbone": "convnet2"}
    for share in (True, False):
        budgets = ["1 MiB", "2 MiB"]
        swept(tmp_path / str(share), strategy, share=share, budgets=budgets, **data, training=training)
    assert content(tmp_path / "True") == content(tmp_path / "False")


def test_an_experience_that_no_budget_decides_is_learned_once_for_all_budgets(tmp_path):
    swept(tmp_path / "shared", Counted)
    assert sorted(Counted.learned) == [0, 0, 1, 1]  # two seeds of two experiences
    Counted.learned.clear()
    swept(tmp_path / "alone", Counted, share=False)
    assert sorted(Counted.learned) == [0] * 6 + [1] * 6


def test_what_no_budget_decides_is_shown_no_budget(tmp_path):
    swept(tmp_path, Counted)
    assert set(Counted.rooms) == {None}
    swept(tmp_path / "seen", Seen)
    assert None not in Counted.rooms[4:]


def test_a_subclass_that_says_nothing_shares_nothing(tmp_path):
    swept(tmp_path, Seen)
    assert len(Counted.learned) == 12


class Hoarding(Counted):
    """Holds 4 KiB more from its second experience on."""

    budget_decides = "nothing"

    def end(self, task):
        if task.index == 1:
            self.hold("hoard", torch.ones(1024), kind="statistics")


def test_the_budget_of_each_cell_is_enforced_on_what_it_takes_over(tmp_path):
    outcome, watcher = swept(tmp_path, Hoarding, budgets=["64 KiB", "2 KiB"])
    assert outcome.states["done"] == outcome.states["failed"] == 2
    assert sorted(Counted.learned).count(1) <= 4
    whys = [why for _, state, why in watcher.ends if state == "failed"]
    assert all(why.startswith(f"{MemoryContractError.__name__}: after experience 2") for why in whys)


class Sly(Replay):
    """Changes more than its network while it trains, and does not say that its training can be shared."""

    def begin(self, task):
        super().begin(task)
        if task.index == 0:
            self.hold("trained", torch.zeros(1), kind="statistics")

    def train_on(self, task, samples):
        super().train_on(task, samples)
        self.trained += 1


def test_a_method_of_ones_own_that_changes_more_than_its_parent_is_not_cut_short(tmp_path):
    for share in (True, False):
        swept(tmp_path / str(share), Sly, share=share)
    assert content(tmp_path / "True") == content(tmp_path / "False")


@pytest.mark.parametrize("strategy", ["ncm", {"kind": "replay", **SMALL}], ids=str)
def test_shared_work_that_is_damaged_is_done_again(strategy, tmp_path):
    scenario = {**SCENARIO, "strategy": strategy, "memory": {"budget": "64 KiB"}}
    alone = cl_engine.run(scenario, out=tmp_path / "alone")
    cl_engine.run(scenario, sharing=tmp_path / SHARED)
    kept = sorted((tmp_path / SHARED).rglob("*.safetensors"))
    assert kept
    for number, file in enumerate(kept):
        file.write_bytes(file.read_bytes()[:-4] + b"\0\1\2\3" if number % 2 else b"")
    again = cl_engine.run(scenario, sharing=tmp_path / SHARED, out=tmp_path / "again")
    times = {"seconds": 0, "sha256": 0}
    assert {**again.to_dict(), **times} == {**alone.to_dict(), **times}
    digests = [
        hashlib.sha256((r.directory / "checkpoint.safetensors").read_bytes()).digest() for r in (alone, again)
    ]
    assert digests[0] == digests[1]


def test_a_folder_that_cannot_be_written_only_means_that_nothing_is_shared(tmp_path):
    (tmp_path / SHARED).write_text("a file where a folder should be")
    record = cl_engine.run({**SCENARIO, "strategy": "ncm"}, sharing=tmp_path / SHARED)
    assert record.metrics["last_accuracy"] is not None


def test_shared_work_is_gone_once_no_cell_needs_it(tmp_path):
    swept(tmp_path, "ncm")
    assert not (tmp_path / SHARED).exists()


def test_one_cell_of_each_group_comes_before_those_that_take_over_its_work(tmp_path):
    scenario = {
        **SCENARIO,
        "strategy": "ncm",
        "sweep": {"strategy": ["ncm", {"kind": "finetune", **SMALL}], "memory.budget": BUDGETS},
    }
    started = []

    class Watching(Silent):
        def started(self, number, title):
            started.append(title)

    Scheduler(sweep_of(scenario).cells, tmp_path, Serial(), Watching(), source=scenario).run()
    assert sorted(title.split(",")[0][:12] for title in started[:2]) == ["strategy fin", "strategy ncm"]


class Told:
    """Runs nothing, and says of cells that compute anew that they took 10 seconds, of others 1."""

    free = 1

    def __init__(self):
        self.seen = set()

    def submit(self, job):
        self.cell, self.free, seed = job.cell, 0, job.changes["seed"]
        self.took = 1.0 if seed in self.seen else 10.0
        self.seen.add(seed)

    def events(self, timeout):
        self.free = 1
        yield Event(self.cell, "done", {"seconds": self.took})

    def close(self):
        pass


def test_the_time_that_is_left_is_that_of_cells_which_take_work_over_as_these_do(tmp_path):
    scenario = {**SCENARIO, "strategy": "ncm", "sweep": {"memory.budget": BUDGETS, "seed": [0, 1]}}
    left = []

    class Watching(Silent):
        def left(self, seconds):
            left.append(seconds)

    Scheduler(sweep_of(scenario).cells, tmp_path, Told(), Watching(), source=scenario).run()
    assert left == [None, None, 3.0, 2.0, 1.0, 0.0]


def test_a_cell_says_how_long_it_took_itself_and_not_what_its_result_records(tmp_path, monkeypatch):
    clock = iter([0.0, 1000.0, 2000.0, 2500.0])
    monkeypatch.setattr("cl_engine.sweeping.running.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    took = []

    def tell(what, facts):
        if what == "done":
            took.append(facts["seconds"])

    for cell in sweep_of({**SCENARIO, "strategy": "ncm", "sweep": {"memory.budget": BUDGETS}}).cells[:2]:
        run_cell(cell.scenario, (), {}, cell.scenario.id, tmp_path, tell, sharing=tmp_path / SHARED)
    assert took == [1000, 500]


def test_a_declaration_that_does_not_exist_is_named():
    class Wrong(Counted):
        budget_decides = "much"

    with pytest.raises(
        InputError, match=r"Wrong\.budget_decides is 'much'; allowed: nothing, exemplars, everything"
    ):
        cl_engine.run({**SCENARIO, "strategy": Wrong})


def test_cells_computed_with_other_threads_are_not_gone_on_with_unless_forced(tmp_path):
    sweep = sweep_of({**SCENARIO, "sweep": {"seeds": 2}, "strategy": "ncm"})
    run_sweep(sweep, tmp_path, Silent(), cells=sweep.cells[:1], workers=1, threads=1)
    with pytest.raises(InputError, match=r"computed with 1 threads, not 2, .* --force"):
        run_sweep(sweep, tmp_path, Silent(), workers=1, threads=2)
    assert run_sweep(sweep, tmp_path, Silent(), workers=1, threads=2, force=True).states["done"] == 2
    threads = sorted(json.loads(f.read_text())["environment"]["threads"] for f in tmp_path.glob("*/result.json"))
    assert threads == [1, 2]
