"""The child's side: runs the cells it is handed, one after the other, and says what happens."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import torch

from cl_engine.config.common import Common
from cl_engine.running.allocation import keep_freed_memory
from cl_engine.sweeping.executors import SHARED
from cl_engine.sweeping.running import run_cell

LOG = "log.txt"


def work() -> None:
    """Run cells until standard input ends, and with it the sweep: then end at once, whatever runs.

    What a cell prints goes to ``log.txt`` in its run directory; standard output carries messages alone.
    """
    answers, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(2, 1)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    keep_freed_memory()
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(jobs, stop), daemon=True).start()
    common = Common()

    def tell(what: str, facts: dict[str, Any]) -> None:
        try:
            os.write(answers, json.dumps({"what": what, "facts": facts}).encode() + b"\n")
        except OSError:
            os._exit(1)  # the sweep is gone, and the cell has not failed

    while True:
        job = jobs.get()
        folder = Path(job["folder"])
        print_to(folder / job["directory"] / LOG, nowhere)
        try:
            run_cell(
                job["source"],
                job["overrides"],
                job["changes"],
                job["id"],
                folder,
                tell,
                common=common,
                sharing=folder / SHARED if job["share"] else None,
                stopping=stop.is_set,
            )
        except KeyboardInterrupt as error:  # of the strategy's own: Ctrl-C does not reach this process
            facts = {"error": "KeyboardInterrupt", "message": "the strategy raised it"}
            tell("failed", {**facts, "traceback": "".join(traceback.format_exception(error))})


def _listen(jobs: queue.SimpleQueue[dict[str, Any]], stop: threading.Event) -> None:
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if message.get("stop"):
            stop.set()
        else:
            jobs.put(message)
    os._exit(1)  # the sweep is gone


def print_to(log: Path, otherwise: int) -> None:
    """Send what is printed from now on to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:
        target = os.dup(otherwise)
    for descriptor in (1, 2):
        os.dup2(target, descriptor)
    os.close(target)
