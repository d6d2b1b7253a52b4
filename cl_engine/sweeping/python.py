"""A sweep from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cl_engine.errors import EngineError
from cl_engine.kinds.registry import refuse_while_importing
from cl_engine.reports.results import Results, read_results
from cl_engine.sweeping.cells import sweep_of
from cl_engine.sweeping.sweep import run_sweep


class SweepStoppedError(EngineError):
    """The sweep was interrupted, or could not be written any more; what is finished is kept."""


def sweep(
    scenario: str | Path | Mapping[str, Any],
    *,
    out: str | Path = "sweeps",
    overrides: Sequence[str] = (),
    workers: int | None = None,
    threads: int = 1,
    ray: str | None = None,
    gpus_per_cell: float = 0.0,
    retry_failed: bool = False,
    fail_fast: bool = False,
    share: bool = True,
    force: bool = False,
) -> Results:
    """Run a scenario once for each cell of its ``sweep`` section, and return all results.

    Args:
        scenario: a YAML file, the name of a shipped one, or its keys as a mapping of plain data.
        out: folder for the sweep's own folder, named as the scenario; what is finished there is not run again.
        overrides: assignments ``a.b=value`` to all cells.
        workers: processes; 0: in this one; None: one for each core that ``threads`` leaves.
        threads: of each process.
        ray: address of a Ray cluster whose nodes run the cells, ``auto``, or None: this machine runs them.
        gpus_per_cell: that Ray gives each process, such as 0.25.
        retry_failed: run cells again that failed before.
        fail_fast: end after the first failure.
        share: let cells that differ in their budget alone compute once what it does not touch; the results are the
            same without.
        force: go on where cells were computed with another number of threads.

    Raises:
        ConfigError: the scenario, its sweep or any of its cells is wrong.
        InputError: there is no such cluster, or Ray is not installed.
        SweepStoppedError: it was interrupted, or the folder cannot be written any more.
    """
    refuse_while_importing()
    found = sweep_of(scenario, overrides)
    folder = Path(out) / found.name
    outcome = run_sweep(
        found,
        folder,
        workers=workers,
        threads=threads,
        ray=ray,
        gpus_per_cell=gpus_per_cell,
        retry_failed=retry_failed,
        fail_fast=fail_fast,
        share=share,
        force=force,
    )
    if outcome.unwritable or (outcome.interrupted and not fail_fast):
        raise SweepStoppedError(f"{outcome.unwritable or 'interrupted'}; what is finished is kept in {folder}")
    return read_results(folder)
