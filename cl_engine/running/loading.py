"""A stored run's strategy, ready to predict."""

from __future__ import annotations

from pathlib import Path

from cl_engine.config.scenario import Scenario
from cl_engine.memory.state import HeldState
from cl_engine.reports.result import CONFIG
from cl_engine.running.store import ResumeError, RunDirectory
from cl_engine.strategies.strategy import Strategy


def load(directory: str | Path) -> Strategy:
    """Return the strategy of a run directory as it stood after its last finished experience.

    It is rebuilt from the directory's own configuration and checkpoint, checksums included.  Its ``predict`` takes
    samples ``[B, ...]`` of the data's form and returns scores ``[B, classes]``; class ids are in order of first
    exposure.

    Args:
        directory: what :func:`cl_engine.run` wrote.

    Raises:
        ConfigError: its configuration is damaged, or names data or code that is not there.
        StoreError: the checkpoint is damaged, missing or in use, or the data or the user's code has changed.
    """
    path = Path(directory)
    scenario = Scenario.load(path / CONFIG)
    store = RunDirectory(path, scenario.identity)
    try:
        found = store.resume()
    finally:
        store.close()
    if found is None:
        raise ResumeError(f"{path}: no experience was finished here; allowed: a directory that a run has written")
    state, lines = found
    rebuilder = scenario.rebuilder(scenario.terms())
    return rebuilder.rebuilt(len(lines), HeldState.read(state, rebuilder.signature(len(lines))))


def modules_beside(scenario: Scenario) -> dict[str, bytes]:
    """Return the user's own modules beside the scenario file, so that the run directory re-creates its run."""
    return {path.name: path.read_bytes() for path in scenario.sources if path.parent == scenario.folder}
