"""A process that imports torch and the engine once, and forks for every job.

Each job runs in a child as fresh as a new process: the server never imports a strategy, computes nothing and has no
second thread.  It reads the folder of a job from standard input and answers with the exit status of the child.
Its environment and import path are those of its start, whatever jobs do; it ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import traceback
from pathlib import Path

from cl_engine.running.start import command


class Server:
    """The parent's end: starts the server, sends it jobs.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, cwd: Path) -> None:
        self._process = subprocess.Popen(
            command(__name__, "serve", prepare="preload"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=cwd,
            start_new_session=True,  # Ctrl-C reaches the parent alone, which ends the children
        )

    def run(self, folder: Path) -> int:
        """Run the job of ``folder`` in a fresh child; return its exit status, negative after a signal."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{folder}\n".encode())
            process.stdin.flush()
            answer = process.stdout.readline()
        except BaseException:
            self.close()
            raise
        return int(answer) if answer else -signal.SIGKILL

    def close(self) -> None:
        """End the server and the child that runs, if any."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):  # it is gone already
            process.stdin.close()
        process.wait()
        process.stdout.close()


def serve() -> None:
    """Read folders, fork, answer; the child's standard output becomes standard error."""
    answers, woken, wake = os.dup(1), *os.pipe()
    os.dup2(2, 1)  # ours is kept for answers
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while folder := _line():
        child = os.fork()
        if child == 0:
            _end_as(folder, (answers, woken, wake))
        while True:
            ready, _, _ = select.select([0, woken], [], [])
            if woken in ready:
                os.read(woken, 1)
                found, status = os.waitpid(child, os.WNOHANG)
                if found:
                    break
            if 0 in ready:  # nothing is sent while a job runs: the parent is gone
                os.kill(child, signal.SIGKILL)
                os._exit(1)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _line() -> str:
    read = b""
    while not read.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return ""
        read += byte
    return read.decode().rstrip("\n")


def _end_as(folder: str, inherited: tuple[int, ...]) -> None:
    """Do the job of ``folder`` and end this process, whatever happens."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in inherited:
            os.close(descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(folder)
        from cl_engine.running.job import do_job

        do_job(Path(folder))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def preload() -> None:
    """Import what jobs need, the package's own kinds among it, before a user's folder is on the import path."""
    import cl_engine.running.job  # noqa: F401
    from cl_engine.kinds.registry import kinds, load
    from cl_engine.kinds.signature import options_model
    from cl_engine.running.allocation import keep_freed_memory

    keep_freed_memory()
    for package in ("strategies", "backbones", "codecs"):
        for kind in kinds(package):
            options_model(load(package, kind))  # reading a signature takes longer than a small job
