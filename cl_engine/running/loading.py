"""A run directory as it begins, and a stored run's strategy, ready to predict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from typing_extensions import Self

from cl_engine.config.checks import options_of
from cl_engine.config.identity import code_identity, user_modules
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.kinds.problems import Problems
from cl_engine.kinds.registry import load as load_kind
from cl_engine.memory.state import HeldState
from cl_engine.reports.result import CONFIG
from cl_engine.running.store import ResumeError, RunDirectory
from cl_engine.strategies.rebuilding import Rebuilder
from cl_engine.strategies.strategy import Strategy
from cl_engine.terms.terms import Terms

LEARNER = "learner.json"


def load(directory: str | Path) -> Strategy:
    """Return the strategy of a run directory as it stood after its last finished experience.

    The directory is all that it needs, and what the strategy's own options name (a projection, pretrained weights);
    so it can be copied to another machine, and the data may have changed since.  It is rebuilt from the directory's
    own description and checkpoint, checksums included.  Its ``predict`` takes samples ``[B, ...]`` of the data's
    form and returns scores ``[B, classes]``; column ``k`` is the label ``RunRecord.load(directory).classes[k]``.

    Args:
        directory: what :func:`cl_engine.run` wrote.

    Raises:
        ConfigError: its strategy names code or files that are not there.
        StoreError: the directory is damaged, nothing was finished there, it is in use, or the user's code has
            changed.
    """
    path = Path(directory)
    if not (path / LEARNER).exists():  # an earlier version wrote it
        return _load_by_scenario(path)
    learner = Learner.read(path)
    try:
        strategy_class: Any = load_kind("strategies", learner.strategy, path)
    except Problems as error:
        raise ConfigError("\n".join(f"{path / LEARNER}: {problem.what}" for problem in error.problems)) from None
    terms = learner.terms
    if terms.device == "cuda" and not torch.cuda.is_available():
        terms = dataclasses.replace(terms, device="cpu")
    strategy = _rebuilt(path, learner.identity, Rebuilder(strategy_class, learner.options, terms))
    if learner.code != code_identity(user_modules([{"kind": learner.strategy, **learner.options}])):
        raise ResumeError(f"{path}: the code of {learner.strategy} has changed; allowed: that of the run")
    return strategy


@dataclasses.dataclass(frozen=True)
class Learner:
    """All that is needed, beside what it holds, to rebuild the strategy of a run without the run's data.

    Attributes:
        strategy: its kind.
        options: keyword arguments of its class.
        terms: of the run.
        identity: of the run.
        code: digest of the user's modules that strategy and options name, or None.
    """

    strategy: str
    options: dict[str, Any]
    terms: Terms
    identity: dict[str, str | None]
    code: str | None

    @classmethod
    def of(cls, scenario: Scenario, terms: Terms, identity: Mapping[str, str | None]) -> Self:
        """Describe the strategy of a scenario; its identity is given, as working it out may read all data."""
        kind, options = str(scenario.strategy["kind"]), options_of(scenario.strategy)
        code = code_identity(user_modules([scenario.strategy]))
        return cls(kind, options, terms, dict(identity), code)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read it from a run directory.

        Raises:
            ResumeError: it is damaged.
        """
        try:
            return TypeAdapter(cls).validate_json((path / LEARNER).read_bytes())
        except (OSError, ValueError):
            raise ResumeError(f"{path / LEARNER} is damaged; allowed: a run directory as it was written") from None


def begin(store: RunDirectory, scenario: Scenario, terms: Terms, modules: Mapping[str, bytes]) -> None:
    """Write what a run directory holds before its first experience; ``modules`` are the user's, by file name."""
    describe(store, scenario, modules)
    learner = Learner.of(scenario, terms, store.identity)
    store.keep(LEARNER, TypeAdapter(Learner).dump_json(learner))


def describe(store: RunDirectory, scenario: Scenario, modules: Mapping[str, bytes]) -> None:
    """Write what re-creates a run: its scenario, and the user's modules."""
    store.start(scenario.to_dict())
    for name, source in modules.items():
        store.keep(name, source)


def modules_beside(scenario: Scenario) -> dict[str, bytes]:
    """Return the user's own modules beside the scenario file, so that the run directory re-creates its run."""
    return {path.name: path.read_bytes() for path in scenario.sources if path.parent == scenario.folder}


def _load_by_scenario(path: Path) -> Strategy:
    scenario = Scenario.load(path / CONFIG)
    return _rebuilt(path, scenario.identity, scenario.rebuilder(scenario.terms()))


def _rebuilt(path: Path, identity: Mapping[str, str | None], rebuilder: Rebuilder) -> Strategy:
    store = RunDirectory(path, identity)
    try:
        found = store.resume()
    finally:
        store.close()
    if found is None:
        raise ResumeError(f"{path}: no experience was finished here; allowed: a directory that a run has written")
    state, lines = found
    return rebuilder.rebuilt(len(lines), HeldState.read(state, rebuilder.signature(len(lines))))
