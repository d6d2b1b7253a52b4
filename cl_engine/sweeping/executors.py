"""Who runs cells: the interface between the scheduler and processes, and the one that runs them here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cl_engine.sweeping.running import run_cell


@dataclass(frozen=True)
class Job:
    """What an executor needs to run a cell.

    Attributes:
        cell: its number.
        id: hash of its resolved scenario, to be found again where it runs.
        source: the scenario file, the name of a shipped one, or its keys.
        overrides: assignments to all cells, as of ``--set``.
        changes: keys that the cell sets.
        folder: of the sweep.
        directory: the name of the run directory, in it.
        share: whether other cells can take over what it computes, or it what they did.
    """

    cell: int
    id: str
    source: Any
    overrides: tuple[str, ...]
    changes: dict[str, Any] = field(repr=False)
    folder: str
    directory: str
    share: bool = False


SHARED = ".shared"  # where cells leave what others take over, in the sweep's folder


class Event(NamedTuple):
    """Something that happened to a cell.

    Attributes:
        cell: its number.
        what: ``progress`` (an experience is committed; facts ``done``, ``of``), ``done`` (``seconds``), ``stopped``
            (as asked, resumable), ``locked`` (another process runs it), ``failed`` (``error``, ``message``,
            ``traceback``), ``unwritable`` (``message``; no cell can be written any more) or ``lost`` (its process
            died; ``why``).
        facts: more about it.
    """

    cell: int
    what: str
    facts: dict[str, Any]


class Executor(Protocol):
    """Runs cells; the truth about them stands in their run directories."""

    @property
    def free(self) -> int:
        """How many cells may be submitted now."""

    def submit(self, job: Job) -> None:
        """Begin a cell, or continue it where it ended."""

    def events(self, timeout: float) -> Iterator[Event]:
        """Yield what has happened, after ``timeout`` seconds at the latest."""

    def stop(self) -> None:
        """Ask all that run to end after their next finished experience."""

    def close(self) -> None:
        """End everything at once."""


class Serial:
    """Runs one cell at a time in this process; for debuggers, tests and parts that are Python objects."""

    def __init__(self) -> None:
        self._job: Job | None = None

    @property
    def free(self) -> int:
        """One, when nothing is submitted."""
        return int(self._job is None)

    def submit(self, job: Job) -> None:
        """Take a cell; it runs while its events are asked for."""
        self._job = job

    def events(self, timeout: float) -> Iterator[Event]:
        """Run the submitted cell to its end."""
        job, self._job = self._job, None
        if job is None:
            return
        happened: list[tuple[str, dict[str, Any]]] = []
        try:
            run_cell(
                job.source,
                job.overrides,
                job.changes,
                job.id,
                Path(job.folder),
                lambda what, facts: happened.append((what, facts)),
                sharing=Path(job.folder) / SHARED if job.share else None,
            )
        except KeyboardInterrupt:
            yield Event(job.cell, "stopped", {})
            raise
        for what, facts in happened:
            yield Event(job.cell, what, facts)

    def stop(self) -> None:
        """Nothing runs while this is called."""

    def close(self) -> None:
        """Nothing is left to end."""
        self._job = None
