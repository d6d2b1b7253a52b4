"""A sweep as a whole: cells, their folder, who runs them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cl_engine.config.document import dump
from cl_engine.errors import InputError
from cl_engine.reports.results import CELLS
from cl_engine.reports.sweep_progress import SweepProgress
from cl_engine.reports.whole import write_whole
from cl_engine.running.store import writing
from cl_engine.sweeping.cells import Cell, Source, Sweep
from cl_engine.sweeping.executors import Executor, Serial
from cl_engine.sweeping.local import Local
from cl_engine.sweeping.on_ray import OnRay
from cl_engine.sweeping.scheduler import Outcome, Scheduler, Watcher

SWEEP = "sweep.yaml"


def run_sweep(
    sweep: Sweep,
    folder: Path,
    watcher: Watcher | None = None,
    *,
    cells: Sequence[Cell] | None = None,
    workers: int | None = None,
    threads: int = 1,
    ray: str | None = None,
    gpus_per_cell: float = 0.0,
    retry_failed: bool = False,
    fail_fast: bool = False,
    share: bool = True,
    force: bool = False,
) -> Outcome:
    """Run the cells of a sweep into ``folder``; what is finished there is not run again.

    Args:
        sweep: as :func:`cl_engine.sweeping.cells.sweep_of` read it.
        folder: where the run directories are.
        watcher: told how it proceeds; None tells people, on standard error.
        cells: only these of its cells.
        workers: processes; 0: in this one; None: one for each core that ``threads`` leaves.
        threads: of each process.
        ray: address of a Ray cluster whose nodes run them, ``auto``, or None: this machine runs them.
        gpus_per_cell: that Ray gives each process.
        retry_failed: run cells again that failed before.
        fail_fast: end after the first failure.
        share: let cells that differ in their budget alone compute once what it does not touch; the results are the
            same without.
        force: go on where cells were computed with another number of threads.

    Raises:
        InputError: there is no such cluster, or it is not what it must be; or cells were computed with another
            number of threads.
        StoreError: the folder cannot be written.
    """
    if ray is None and gpus_per_cell:
        raise InputError(f"got {gpus_per_cell} GPUs per cell; allowed: with ray alone")
    if ray is not None and workers == 0:
        raise InputError("got 0 workers and ray; allowed: at least 1")
    cells = sweep.cells if cells is None else cells
    executor: Executor = Serial()
    if workers != 0:
        _check_plain(sweep.source)
    if ray is not None:
        executor = OnRay(ray, cells, threads, workers, gpus_per_cell)
    elif workers != 0:
        executor = Local(workers or max(1, len(os.sched_getaffinity(0)) // threads), threads)
    _note(sweep, folder)
    progress = SweepProgress()
    scheduler = Scheduler(
        cells,
        folder,
        executor,
        watcher or progress,
        source=sweep.source if isinstance(sweep.source, Mapping) else str(sweep.source),
        overrides=sweep.overrides,
        retry_failed=retry_failed,
        fail_fast=fail_fast,
        share=share,
        threads=threads if workers != 0 else torch.get_num_threads(),
        force=force,
    )
    try:
        return scheduler.run()
    finally:
        progress.close()


def _check_plain(source: Source) -> None:
    try:
        json.dumps(source if isinstance(source, Mapping) else str(source))
    except (TypeError, ValueError):
        what = "a scenario with Python objects in it cannot be handed to other processes"
        raise InputError(f"{what}; allowed: plain data, or workers=0") from None


def _note(sweep: Sweep, folder: Path) -> None:
    """Write what the sweep is into its folder, for people and for reports; the run directories are the truth."""
    rows = map(_row, sweep.cells)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / CELLS, "".join(json.dumps(row, default=str) + "\n" for row in rows))
        write_whole(folder / SWEEP, dump(json.loads(json.dumps(sweep.tree, default=str))))


def _row(cell: Cell) -> dict[str, Any]:
    budget = cell.scenario.budget()
    return {
        "cell": cell.number,
        "run": cell.directory,
        "assignments": cell.assignments,
        "impossible": cell.impossible,
        "budget_bytes": None if budget is None else budget.bytes,
        "config": cell.scenario.to_dict(),
    }
