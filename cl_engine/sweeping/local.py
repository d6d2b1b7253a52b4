"""Cells in processes of their own that stay warm from cell to cell."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from cl_engine.running.start import command
from cl_engine.sweeping.executors import Event, Job

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Local:
    """Runs cells in ``workers`` processes, one cell at a time each; one that dies is replaced.

    Args:
        workers: how many.
        threads: of each; set before torch is imported, because results depend on it in their last bits.
    """

    def __init__(self, workers: int, threads: int) -> None:
        self.threads = threads
        self._idle: deque[_Worker] = deque()
        self._busy: dict[int, _Worker] = {}
        self._missing = workers

    @property
    def free(self) -> int:
        """How many workers wait for a cell."""
        return len(self._idle) + self._missing

    def submit(self, job: Job) -> None:
        """Hand a cell to a waiting worker, starting one where none waits."""
        if self._idle:
            worker = self._idle.popleft()
        else:
            worker, self._missing = _Worker(self.threads), self._missing - 1
        worker.job = job
        self._busy[worker.output] = worker
        with contextlib.suppress(OSError):  # it died meanwhile: its end of file says so
            worker.send(asdict(job))

    def events(self, timeout: float) -> Iterator[Event]:
        """Yield what the workers say; what is left unsaid by one that died is ``lost``."""
        ready, _, _ = select.select([*self._busy], [], [], timeout)
        for output in ready:
            worker = self._busy[output]
            assert worker.job is not None
            for said in worker.heard():
                if said is None:
                    del self._busy[output]
                    self._missing += 1
                    yield Event(worker.job.cell, "lost", {"why": worker.why()})
                    break
                yield Event(worker.job.cell, said["what"], said["facts"])
                if said["what"] != "progress":
                    self._idle.append(self._busy.pop(output))
                    break

    def stop(self) -> None:
        """Ask every worker to end its cell after the next finished experience."""
        for worker in self._busy.values():
            with contextlib.suppress(OSError):
                worker.send({"stop": True})

    def close(self) -> None:
        """End all workers at once; what they had not finished can be continued."""
        for worker in [*self._idle, *self._busy.values()]:
            worker.close()
        self._idle.clear()
        self._busy.clear()


class _Worker:
    """The parent's end of one process."""

    def __init__(self, threads: int) -> None:
        self.job: Job | None = None
        self._process = subprocess.Popen(
            command("cl_engine.sweeping.worker", "work"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **dict.fromkeys(THREADS, str(threads))},
            start_new_session=True,  # Ctrl-C reaches the parent alone, which ends the workers
        )
        assert self._process.stdout is not None
        self.output = self._process.stdout.fileno()
        self._rest = b""

    def send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message, default=str).encode() + b"\n")
        self._process.stdin.flush()

    def heard(self) -> Iterator[dict[str, Any] | None]:
        """Yield the messages that have arrived, None at the end of the process."""
        read = os.read(self.output, 1 << 16)
        if not read:
            yield None
            return
        *lines, self._rest = (self._rest + read).split(b"\n")
        yield from map(json.loads, lines)

    def why(self) -> str:
        status = self._process.wait()
        if status >= 0:
            return f"its process ended with status {status}"
        name = signal.Signals(-status).name
        return f"its process was killed by {name}" + (", probably out of memory" if name == "SIGKILL" else "")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)  # children of an audit too
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
