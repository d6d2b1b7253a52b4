"""Which cell runs when, and what happens to one that fails, is lost or is run by somebody else."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cl_engine.errors import InputError
from cl_engine.reports.result import FILE as RESULT
from cl_engine.reports.result import LINES, ResultError, read_result
from cl_engine.reports.results import FAILED, failure_of
from cl_engine.reports.whole import write_whole
from cl_engine.running.sharing import shared_key
from cl_engine.sweeping.cells import Cell
from cl_engine.sweeping.executors import SHARED, Event, Executor, Job

LOCKED_WAIT = 1.0  # seconds before a cell that somebody else runs is looked at again


@dataclass(frozen=True)
class Status:
    """How a cell stands on the disk.

    Attributes:
        state: ``done``, ``failed``, ``unfinished``, ``impossible`` or ``new``.
        why: a few words for people.
        seconds: what it took, where it is done.
        threads: what it was computed with, as far as it was.
    """

    state: str
    why: str = ""
    seconds: float | None = None
    threads: int | None = None


def status_of(cell: Cell, folder: Path) -> Status:
    """Say how a cell stands: the run directory is all that is looked at.

    A failed cell counts as new once the user's own code has changed.
    """
    if cell.impossible:
        return Status("impossible", cell.impossible)
    directory = folder / cell.directory
    try:
        result = read_result(directory)
        if result["identity"] == cell.scenario.identity:
            return Status("done", "finished", result["seconds"]["total"], result["environment"]["threads"])
        return Status("unfinished", "its data or its strategy's code has changed")
    except (ResultError, KeyError):
        damaged = (directory / RESULT).exists()
    failure = failure_of(directory)
    if failure and failure.get("code") == cell.scenario.identity["code"]:
        return Status("failed", f"{failure.get('error')}: {failure['message']}")
    done, threads = _begun(directory)
    if damaged:
        return Status("unfinished", "its result is damaged")
    again = ", failed before" if failure else ""
    if done:
        return Status("unfinished", f"unfinished at {done} of {len(cell.scenario.plan)}{again}", threads=threads)
    return Status("new", f"new{again}")


def _begun(directory: Path) -> tuple[int, int | None]:
    """Return how many experiences of a run are recorded, and with how many threads the last was computed."""
    try:
        lines = (directory / LINES).read_bytes().splitlines()
        return len(lines), json.loads(lines[-1])["threads"] if lines else None
    except OSError:
        return 0, None
    except (ValueError, KeyError, TypeError):
        return len(lines), None


class Watcher(Protocol):
    """Who is told how a sweep proceeds."""

    def begun(self, cells: int, done: int, impossible: int, failed: int) -> None:
        """Say how many cells there are, and how many need not run."""

    def started(self, number: int, title: str) -> None:
        """Say that a cell begins."""

    def progress(self, number: int, done: int, of: int) -> None:
        """Say that an experience of a cell is finished."""

    def ended(self, number: int, title: str, state: str, why: str, seconds: float | None) -> None:
        """Say how a cell ended: ``done`` or ``failed``."""

    def left(self, seconds: float | None) -> None:
        """Say how long the rest will take, None while nobody knows."""


@dataclass
class Outcome:
    """How a sweep ended.

    Attributes:
        states: cells by state: done, failed, impossible, unfinished.
        interrupted: whether it was ended before all cells had run.
        unwritable: why nothing more could be written, or None.
    """

    states: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False
    unwritable: str | None = None


class Scheduler:
    """Hands cells to an executor until all have ended.

    A cell whose process dies is continued once from its last finished experience and then failed; a failing cell
    stops no other.  Of cells that can share work one comes first and leaves the others its part; apart from that
    cells that take longest come first, so that the tail is short.

    Args:
        cells: all of them.
        folder: of the sweep.
        executor: runs them.
        watcher: told about it.
        source: the scenario, as executors are handed it.
        overrides: assignments to all cells.
        retry_failed: run cells again that failed before.
        fail_fast: end after the first failure.
        share: let cells take over what equal ones have computed.
        threads: of each process.
        force: go on with cells that were begun with another number of threads.

    Raises:
        InputError: cells were computed with another number of threads, on which results depend in their last bits.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        folder: Path,
        executor: Executor,
        watcher: Watcher,
        *,
        source: Any,
        overrides: Sequence[str] = (),
        retry_failed: bool = False,
        fail_fast: bool = False,
        share: bool = True,
        threads: int | None = None,
        force: bool = False,
    ) -> None:
        self.cells, self.folder, self.executor, self.watcher = cells, folder, executor, watcher
        self.source, self.overrides = source, tuple(overrides)
        self.retry_failed, self.fail_fast = retry_failed, fail_fast
        self.keys = {cell.number: shared_key(cell.scenario) for cell in cells} if share else {}
        self.threads, self.force = threads, force
        self.by_number = {cell.number: cell for cell in cells}
        self.waiting: deque[Cell] = deque()
        self.locked: list[tuple[float, Cell]] = []
        self.running: dict[int, Cell] = {}
        self.lost: Counter[int] = Counter()
        self.places = self._places_of(cells)
        self.alike = Counter(self.keys.values())
        self.kinds = {cell.number: _kind(cell) for cell in cells}
        # What ended cells took, and how many those are, by kind and by whether they took work over.
        self.seconds: defaultdict[tuple[str, int], float] = defaultdict(float)
        self.times: Counter[tuple[str, int]] = Counter()
        self.outcome = Outcome()
        self.stopping = False

    def run(self) -> Outcome:
        """Run what needs to be run; Ctrl-C once ends after the experiences that are running, twice at once."""
        self._look()
        try:
            while self.waiting or self.running or self.locked:
                try:
                    self._turn()
                except KeyboardInterrupt:
                    if self.stopping:
                        break
                    self._stop()
                    self.outcome.interrupted = True
                if self.stopping and not self.running:
                    break
        finally:
            self.executor.close()
        left = len(self.waiting) + len(self.running) + len(self.locked)
        self.outcome.states["unfinished"] += left
        if not left:
            shutil.rmtree(self.folder / SHARED, ignore_errors=True)
        return self.outcome

    def _look(self) -> None:
        states = {cell.number: status_of(cell, self.folder) for cell in self.cells}
        self._check_threads({status.threads for status in states.values()} - {None})
        for cell in self.cells:
            status = states[cell.number]
            if (status.state == "failed" and self.retry_failed) or status.state in ("new", "unfinished"):
                self.waiting.append(cell)
            else:
                self.outcome.states[status.state] += 1
                if status.seconds is not None:
                    self._note(cell, 0, status.seconds)  # recorded as if all of it had been computed there
        longest = sorted(self.waiting, key=self._expected, reverse=True)
        self.places |= self._places_of(longest)
        self.waiting = deque(sorted(longest, key=self.places.__getitem__))
        counts = self.outcome.states
        self.watcher.begun(len(self.cells), counts["done"], counts["impossible"], counts["failed"])

    def _check_threads(self, found: set[int | None]) -> None:
        if self.threads is None or self.force or found <= {self.threads}:
            return
        what = f"cells in {self.folder} were computed with {', '.join(map(str, found))} threads, not {self.threads}"
        raise InputError(
            f"{what}, on which results depend in their last bits; allowed: the same --threads, or --force"
        )

    def _places_of(self, cells: Sequence[Cell]) -> dict[Cell, int]:
        """Return 0 for cells whose work nobody before them shares, 1 for the others."""
        places, seen = {}, set()
        for cell in cells:
            key = self.keys.get(cell.number)
            places[cell] = int(key is not None and key in seen)
            seen.add(key)
        return places

    def _turn(self) -> None:
        now = time.monotonic()
        ready = [cell for when, cell in self.locked if when <= now]
        self.locked = [(when, cell) for when, cell in self.locked if when > now]
        self.waiting.extend(ready)
        while self.waiting and self.executor.free and not self.stopping:
            self._submit(self.waiting.popleft())
        for event in self.executor.events(timeout=LOCKED_WAIT):
            self._happened(event)
        self.watcher.left(self._left())

    def _submit(self, cell: Cell) -> None:
        status = status_of(cell, self.folder)  # somebody else may have run it meanwhile
        if status.state == "done":
            self._end(cell, status)
            return
        self.running[cell.number] = cell
        self.watcher.started(cell.number, cell.title)
        changes = {**cell.assignments, "sweep": None, "name": cell.scenario.name}
        self.executor.submit(
            Job(
                cell.number,
                cell.scenario.id,
                self.source,
                self.overrides,
                changes,
                str(self.folder),
                cell.directory,
                self._shares(cell),
            )
        )

    def _shares(self, cell: Cell) -> bool:
        key = self.keys.get(cell.number)
        return key is not None and self.alike[key] > 1

    def _happened(self, event: Event) -> None:
        cell = self.by_number[event.cell]
        if event.what == "progress":
            self.watcher.progress(cell.number, event.facts["done"], event.facts["of"])
            return
        self.running.pop(cell.number, None)
        if event.what == "done":
            with contextlib.suppress(OSError):
                (self.folder / cell.directory / FAILED).unlink(missing_ok=True)
            self._end(cell, Status("done", seconds=event.facts["seconds"]))
        elif event.what == "failed":
            self._fail(cell, event.facts)
        elif event.what == "locked":
            self.locked.append((time.monotonic() + LOCKED_WAIT, cell))
        elif event.what == "stopped":
            self.waiting.append(cell)
        elif event.what == "unwritable":
            self.outcome.unwritable = event.facts["message"]
            self.waiting.append(cell)
            self._stop()
        elif event.what == "lost":
            self.lost[cell.number] += 1
            if self.lost[cell.number] < 2 or self.stopping:
                self.waiting.appendleft(cell)
            else:
                self._fail(cell, {"error": "Lost", "message": f"{event.facts['why']}, twice"})

    def _fail(self, cell: Cell, facts: Mapping[str, Any]) -> None:
        failure = {**facts, "code": cell.scenario.identity["code"]}
        with contextlib.suppress(OSError):  # where it cannot be written the cell is merely unfinished
            directory = self.folder / cell.directory
            directory.mkdir(parents=True, exist_ok=True)
            write_whole(directory / FAILED, json.dumps(failure, indent=1))
        self._end(cell, Status("failed", f"{facts['error']}: {facts['message']}"))
        if self.fail_fast:
            self._stop()

    def _end(self, cell: Cell, status: Status) -> None:
        self.outcome.states[status.state] += 1
        if status.seconds is not None:
            self._note(cell, self.places[cell], status.seconds)
        self.watcher.ended(cell.number, cell.title, status.state, status.why, status.seconds)

    def _stop(self) -> None:
        self.stopping = True
        self.executor.stop()

    def _expected(self, cell: Cell) -> float:
        """Seconds that a cell takes, as far as cells of its strategy or others tell; else its samples."""
        kind = self.kinds[cell.number]
        for known in ((kind, self.places[cell]), (kind, 0)):
            if self.times[known]:
                return self.seconds[known] / self.times[known]
        finished = self.times.total()
        return sum(self.seconds.values()) / finished if finished else float(len(cell.scenario.plan.indices))

    def _note(self, cell: Cell, place: int, seconds: float) -> None:
        self.seconds[self.kinds[cell.number], place] += seconds
        self.times[self.kinds[cell.number], place] += 1

    def _left(self) -> float | None:
        if self.times.total() < 3:
            return None
        workers = len(self.running) + self.executor.free
        return sum(map(self._expected, [*self.waiting, *self.running.values()])) / max(workers, 1)


def _kind(cell: Cell) -> str:
    return json.dumps(cell.scenario.strategy, sort_keys=True, default=str)
