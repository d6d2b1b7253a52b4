"""Runs that were not learned but worked out of finished ones, from what these hold."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from cl_engine.config.scenario import Scenario
from cl_engine.errors import InputError
from cl_engine.kinds.registry import kinds, load
from cl_engine.memory.ledger import Entry
from cl_engine.memory.state import HeldState, hold
from cl_engine.reports.result import CONFIG
from cl_engine.running.audit import RebuildAudit
from cl_engine.running.learning import learn
from cl_engine.running.loading import begin, modules_beside
from cl_engine.running.record import RunRecord, memory_facts, result_of
from cl_engine.running.store import ResumeError, RunDirectory
from cl_engine.running.stream import Stream
from cl_engine.scenarios.plan import class_ids, exposure_order
from cl_engine.strategies.additive import Additive

AT_THE_END = ("last_accuracy", "balanced_accuracy")  # metrics that need no earlier experience


class Finished(NamedTuple):
    """A finished run, as its directory has it.

    Attributes:
        path: the directory.
        scenario: what was run.
        result: what ``result.json`` holds.
        strategy: as it stood at the end.
    """

    path: Path
    scenario: Scenario
    result: dict[str, Any]
    strategy: Additive

    @property
    def named(self) -> dict[str, str]:
        """What a derived run says of where it comes from."""
        return {"run": self.path.name, "id": self.scenario.id, "sha256": self.result["sha256"]}

    def numbered_as(self, scenario: Scenario) -> Additive:
        """Return the strategy with the class ids of another scenario over the same data; it is changed."""
        before, after = (exposure_order(s.labels.train, s.plan) for s in (self.scenario, scenario))
        old = class_ids(after, before)
        classes = torch.from_numpy(np.where(old < len(before), old, -1))
        self.strategy.renumber(classes.to(self.strategy.counts.device))
        return self.strategy


def finished(path: Path) -> Finished:
    """Read a finished run whose state is a sum over samples.

    Raises:
        ConfigError: its configuration is damaged, or names data or code that is not there.
        StoreError: it is not finished, damaged or in use, or the data or the user's code has changed.
        InputError: its strategy holds something else than sums.
    """
    scenario = Scenario.load(path / CONFIG)
    if not issubclass(scenario.strategy_class, Additive):
        what = f"{path}: what {scenario.strategy['kind']} holds is no sum over samples"
        raise InputError(f"{what}; allowed: {', '.join(_summing())}")
    store = RunDirectory(path, scenario.identity)
    try:
        result, found = store.finished(), store.resume()
    finally:
        store.close()
    if result is None or found is None:
        raise ResumeError(f"{path}: the run is not finished; allowed: one that is (see cl-engine run --resume)")
    rebuilder, count = scenario.rebuilder(scenario.terms()), len(scenario.plan)
    strategy = rebuilder.rebuilt(count, HeldState.read(found[0], rebuilder.signature(count)))
    assert isinstance(strategy, Additive)
    return Finished(path, scenario, result, strategy)


def _summing() -> list[str]:
    """Return the kinds of strategies that are sums over samples."""
    every: dict[str, Any] = {kind: load("strategies", kind) for kind in kinds("strategies")}
    return [kind for kind, target in every.items() if issubclass(target, Additive)]


def derived_scenario(scenario: Scenario, how: str, **changes: Any) -> Scenario:
    """Return the scenario of a derived run: another stream, and a name that says how it came about.

    Raises:
        ConfigError: it is none.
    """
    name = scenario.name if scenario.name.endswith(f"-{how}") else f"{scenario.name}-{how}"
    return Scenario.load(scenario, name=name, **changes)


class Derived:
    """A run of a scenario whose end is worked out instead of learned.

    Args:
        scenario: what it stands for: a run that learns it ends alike.
        strategy: the end, its classes numbered as the scenario numbers them.

    Raises:
        MemoryContractError: what it holds exceeds the budget.
    """

    def __init__(self, scenario: Scenario, strategy: Additive) -> None:
        self.scenario, self.terms = scenario, scenario.terms()
        self.rebuilder, self.last = scenario.rebuilder(self.terms), len(scenario.plan) - 1
        self.stream = Stream(scenario, self.terms)
        self.held = hold(strategy, self.rebuilder.signature(self.last + 1), self.terms.model_dtype)
        self.terms.enforce(self.held.entries, {}, self.last)

    def strategy(self) -> Additive:
        """Return the strategy as it is rebuilt from what is held."""
        strategy = self.rebuilder.rebuilt(self.last + 1, self.held)
        assert isinstance(strategy, Additive)
        return strategy

    def learned(self) -> Additive:
        """Return the strategy of a run that learns the scenario, which takes as long as that."""
        held: HeldState | None = None
        for index in range(self.last + 1):
            samples, delivery = self.stream.samples(index), self.stream.deliveries[index]
            held = learn(self.rebuilder, index, held, samples, delivery).held
        strategy = self.rebuilder.rebuilt(self.last + 1, held)
        assert isinstance(strategy, Additive)
        return strategy

    def write(self, out: Path, how: str, facts: Mapping[str, Any]) -> RunRecord:
        """Measure accuracy at the end, and write the run as ``<name>-<id>``.

        Earlier experiences have no accuracy, and the bytes of the plan: what a run that learns holds there.

        Args:
            out: the folder.
            how: ``unlearned`` or ``merged``.
            facts: the key ``derived`` of the result.

        Raises:
            StoreError: the directory cannot be written.
        """
        lines = [self._line(index, entries) for index, entries in enumerate(self._planned())]
        lines.append(self._measured())
        store = RunDirectory(out / f"{self.scenario.name}-{self.scenario.id}", self.scenario.identity)
        try:
            modules = modules_beside(self.scenario)
            if store.holds_a_run:
                store.set_aside()
            begin(store, self.scenario, self.terms, modules)
            for index, line in enumerate(lines):  # until the last one there is no state to go on from
                store.commit(index, self.held.data if index == self.last else b"", line)
            result = result_of(self.scenario, self.terms, lines, self.stream.evaluators, self.stream.names)
            result["metrics"] = {k: v if k in AT_THE_END else None for k, v in result["metrics"].items()}
            result["derived"] = {"how": how, **facts}
            result["notes"].append(f"{how}, not learned: accuracy was measured at the end alone")
            return RunRecord(store.finish(result), store.path)
        finally:
            store.close()

    def _planned(self) -> list[list[Entry]]:
        """Return the ledger after each experience but the last, worked out without learning."""
        rebuilder, held, found = self.scenario.rebuilder(self.scenario.terms(dry=True)), None, []
        for index in range(self.last):
            samples, delivery = self.stream.samples(index), self.stream.deliveries[index]
            held = learn(rebuilder, index, held, samples, delivery).held
            found.append(held.entries)
        return found

    def _line(self, index: int, entries: list[Entry]) -> dict[str, Any]:
        return {
            **self.stream.facts(index),
            **{"correct": [], "tested": [], "accuracy": None, "curve": []},
            **memory_facts([*self.terms.extractor, *entries], {}, self.scenario.memory.counted),
            "notes": [],
            "threads": torch.get_num_threads(),
            "seconds": {"learn": 0.0, "predict": 0.0, "total": 0.0},
        }

    def _measured(self) -> dict[str, Any]:
        begun = time.perf_counter()
        predictor, seen = RebuildAudit(self.rebuilder).predictor(self.last, self.held), self.terms.exposures[-1]
        facts = self.stream.accuracy.facts(predictor, self.last, seen.seen_classes)
        passed = time.perf_counter() - begun
        line = self._line(self.last, self.held.entries)
        curve = [[len(self.scenario.plan.indices), facts["accuracy"]]]
        seconds = {"learn": 0.0, "predict": passed, "total": passed}
        return {**line, **facts, "curve": curve, "notes": predictor.notes, "seconds": seconds}
