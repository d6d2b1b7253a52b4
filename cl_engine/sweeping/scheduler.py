"""Which cell runs when, and what happens to one that fails, is lost or is run by somebody else."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cl_engine.reports.result import FILE as RESULT
from cl_engine.reports.result import LINES, ResultError, read_result
from cl_engine.reports.results import FAILED, failure_of
from cl_engine.reports.whole import write_whole
from cl_engine.sweeping.cells import Cell
from cl_engine.sweeping.executors import Event, Executor, Job

LOCKED_WAIT = 1.0  # seconds before a cell that somebody else runs is looked at again


@dataclass(frozen=True)
class Status:
    """How a cell stands on the disk.

    Attributes:
        state: ``done``, ``failed``, ``unfinished``, ``impossible`` or ``new``.
        why: a few words for people.
        seconds: what it took, where it is done.
    """

    state: str
    why: str = ""
    seconds: float | None = None


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
            return Status("done", "finished", result["seconds"]["total"])
        return Status("unfinished", "its data or its strategy's code has changed")
    except (ResultError, KeyError):
        damaged = (directory / RESULT).exists()
    failure = failure_of(directory)
    if failure and failure.get("code") == cell.scenario.identity["code"]:
        return Status("failed", f"{failure.get('error')}: {failure['message']}")
    try:
        with open(directory / LINES, "rb") as lines:
            done = sum(1 for _ in lines)
    except OSError:
        done = 0
    if damaged:
        return Status("unfinished", "its result is damaged")
    again = ", failed before" if failure else ""
    if done:
        return Status("unfinished", f"unfinished at {done} of {len(cell.scenario.plan)}{again}")
    return Status("new", f"new{again}")


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
    stops no other.  Cells that take longest come first, so that the tail is short.

    Args:
        cells: all of them.
        folder: of the sweep.
        executor: runs them.
        watcher: told about it.
        source: the scenario, as executors are handed it.
        overrides: assignments to all cells.
        retry_failed: run cells again that failed before.
        fail_fast: end after the first failure.
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
    ) -> None:
        self.cells, self.folder, self.executor, self.watcher = cells, folder, executor, watcher
        self.source, self.overrides = source, tuple(overrides)
        self.retry_failed, self.fail_fast = retry_failed, fail_fast
        self.by_number = {cell.number: cell for cell in cells}
        self.waiting: deque[Cell] = deque()
        self.locked: list[tuple[float, Cell]] = []
        self.running: dict[int, Cell] = {}
        self.lost: Counter[int] = Counter()
        self.seconds: dict[str, list[float]] = {}
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
        return self.outcome

    def _look(self) -> None:
        states = {cell.number: status_of(cell, self.folder) for cell in self.cells}
        for cell in self.cells:
            status = states[cell.number]
            if (status.state == "failed" and self.retry_failed) or status.state in ("new", "unfinished"):
                self.waiting.append(cell)
            else:
                self.outcome.states[status.state] += 1
                if status.seconds is not None:
                    self.seconds.setdefault(_kind(cell), []).append(status.seconds)
        self.waiting = deque(sorted(self.waiting, key=self._expected, reverse=True))
        counts = self.outcome.states
        self.watcher.begun(len(self.cells), counts["done"], counts["impossible"], counts["failed"])

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
            )
        )

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
            self.seconds.setdefault(_kind(cell), []).append(status.seconds)
        self.watcher.ended(cell.number, cell.title, status.state, status.why, status.seconds)

    def _stop(self) -> None:
        self.stopping = True
        self.executor.stop()

    def _expected(self, cell: Cell) -> float:
        """Seconds that a cell takes, as far as cells of its strategy or others tell; else its samples."""
        known = self.seconds.get(_kind(cell)) or [s for many in self.seconds.values() for s in many]
        return sum(known) / len(known) if known else float(len(cell.scenario.plan.indices))

    def _left(self) -> float | None:
        finished = sum(map(len, self.seconds.values()))
        if finished < 3:
            return None
        workers = len(self.running) + self.executor.free
        return sum(map(self._expected, [*self.waiting, *self.running.values()])) / max(workers, 1)


def _kind(cell: Cell) -> str:
    return json.dumps(cell.scenario.strategy, sort_keys=True, default=str)
