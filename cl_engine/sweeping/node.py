"""The node's side of a sweep on several machines: cells run in a scratch folder and hand over what they write."""

from __future__ import annotations

import os
import queue
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

import cl_engine
from cl_engine.config.common import Common
from cl_engine.reports.result import FILE as RESULT
from cl_engine.reports.result import LINES
from cl_engine.running.allocation import keep_freed_memory
from cl_engine.running.loading import LEARNER
from cl_engine.running.store import INDEX, STATE
from cl_engine.sweeping.executors import SHARED, Job
from cl_engine.sweeping.running import run_cell
from cl_engine.sweeping.worker import LOG, print_to


class Place(NamedTuple):
    """Where a cell runs.

    Attributes:
        host: name of the machine.
        version: of this package there.
    """

    host: str
    version: str


class Said(NamedTuple):
    """An event of a cell, with what it has written since the one before.

    Attributes:
        what: as of :class:`cl_engine.sweeping.executors.Event`.
        facts: as of the same.
        files: contents by name; of ``experiences.jsonl`` the last line, of ``log.txt`` what is new.
    """

    what: str
    facts: dict[str, Any]
    files: dict[str, bytes]


class Node:
    """A process that runs one cell at a time in a thread; made to be an actor of which two methods run at a time.

    A cell waits until each of its experiences is asked for, so no more than two checkpoints are kept in memory.

    Args:
        threads: that torch computes with.
        modules: the user's own, contents by path below a folder of the import path.
    """

    def __init__(self, threads: int, modules: Mapping[str, bytes]) -> None:
        torch.set_num_threads(threads)
        keep_freed_memory()
        self._folder = Path(tempfile.mkdtemp(prefix="cl-engine-"))
        self._runs = self._folder / "runs"
        own = self._folder / "modules"
        for name, content in modules.items():
            (own / name).parent.mkdir(parents=True, exist_ok=True)
            (own / name).write_bytes(content)
        sys.path.append(str(own))  # last: no file of the user's stands in for an installed module
        self._nowhere = os.open(os.devnull, os.O_WRONLY)
        self._said: queue.Queue[Said] = queue.Queue(maxsize=1)
        self._stop = threading.Event()
        self._common = Common()

    def begin(self, job: Job, files: Mapping[str, bytes]) -> Place:
        """Begin a cell, or continue the one whose run directory holds ``files``."""
        shutil.rmtree(self._runs, ignore_errors=True)
        directory = self._runs / job.directory
        directory.mkdir(parents=True)
        for name, content in files.items():
            (directory / name).write_bytes(content)
        done = files.get(LINES, b"").count(b"\n")
        threading.Thread(target=self._run, args=(job, directory, done), daemon=True).start()
        return Place(socket.gethostname(), cl_engine.__version__)

    def next(self) -> Said:
        """Wait for what happens to the cell."""
        return self._said.get()

    def stop(self) -> None:
        """End the cell after its next finished experience."""
        self._stop.set()

    def close(self) -> None:
        """Remove the scratch folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, job: Job, directory: Path, done: int) -> None:
        handed_over, logged = done, 0

        def tell(what: str, facts: dict[str, Any]) -> None:
            nonlocal handed_over, logged
            names = []
            if what == "progress" and facts["done"] > handed_over:
                names = [*([] if handed_over else [LEARNER]), LINES, STATE, INDEX]
                handed_over = facts["done"]
            if what == "done":
                names = [RESULT]
            files = _read(directory, names)
            if LINES in files:
                files[LINES] = files[LINES].splitlines(keepends=True)[-1]
            sys.stdout.flush()
            sys.stderr.flush()
            log = _read(directory, [LOG]).get(LOG, b"")
            files[LOG], logged = log[logged:], len(log)
            self._said.put(Said(what, facts, files))

        try:
            print_to(directory / LOG, self._nowhere)
            run_cell(
                job.source,
                job.overrides,
                job.changes,
                job.id,
                self._runs,
                tell,
                common=self._common,
                sharing=self._folder / SHARED if job.share else None,
                stopping=self._stop.is_set,
            )
        except BaseException:  # the user's code may call for the end of the process: nobody waits for it in vain
            os._exit(1)


def _read(directory: Path, names: list[str]) -> dict[str, bytes]:
    """Return the contents of those files that exist."""
    return {name: (directory / name).read_bytes() for name in names if (directory / name).is_file()}
