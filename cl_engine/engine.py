"""The loop: a scenario in, a run record out."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from cl_engine.config import Scenario, recipe_of
from cl_engine.data.samples import Samples
from cl_engine.evaluation import correct_per_class
from cl_engine.isolated import learn_in_process
from cl_engine.learning import HeldState, Recipe, learn, rebuild
from cl_engine.memory.ledger import MemoryContractError, held_bytes
from cl_engine.record import RunRecord, result_of
from cl_engine.scenarios.plan import Int64, class_ids, exposure_order
from cl_engine.store import ResumeError, RunDirectory


class Reporter(Protocol):
    """Who is told how a run proceeds."""

    def started(self, scenario: Scenario, directory: Path | None, done: int, note: str | None) -> None:
        """``done`` experiences of ``scenario`` were finished earlier; the run begins."""

    def progress(self, text: str) -> None:
        """Report that learning goes on."""

    def finished(self, line: dict[str, Any]) -> None:
        """Report that an experience is finished and committed; ``line`` is its record."""


def run(
    scenario: Scenario | str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    resume: bool = False,
    reporter: Reporter | None = None,
    **changes: Any,
) -> RunRecord:
    """Run a scenario and return its record.

    Args:
        scenario: what :meth:`Scenario.load` takes, or a loaded scenario.
        out: folder for the run directory ``<name>-<id>``; None writes nothing.
        resume: continue where an earlier run in the same directory ended; a finished one is returned as it is.
            Without it an earlier run is set aside, never overwritten.
        reporter: told how the run proceeds.
        changes: keys of the scenario to replace, such as ``seed=1``.

    Raises:
        ConfigError: the scenario is wrong.
        MemoryContractError: the strategy holds more than the budget, or what it may not hold.
        StoreError: the run directory cannot be written or resumed.
    """
    if not isinstance(scenario, Scenario) or changes:
        given = scenario.to_dict() if isinstance(scenario, Scenario) else scenario
        scenario = Scenario.load(given, **changes)
    if out is None:
        return RunRecord(_run(scenario, None, None, [], reporter))
    identity = {"run": scenario.id, "fingerprint": scenario.plan.fingerprint}
    store = RunDirectory(Path(out) / f"{scenario.name}-{scenario.id}", identity)
    try:
        held, lines, note = None, [], None
        if resume and store.finished:
            return RunRecord(store.finished, store.path)
        if resume:
            held, lines = store.resume() or (None, [])
        elif store.holds_a_run:
            note = f"an earlier run was set aside as {store.set_aside()}"
        if not lines:
            store.start(scenario.to_dict())
            _keep_source(scenario, store.path)
        if reporter:
            reporter.started(scenario, store.path, len(lines), note)
        result = _run(scenario, store, held, lines, reporter)
        store.finish(result)
        return RunRecord(result, store.path)
    finally:
        store.close()


def _run(
    scenario: Scenario,
    store: RunDirectory | None,
    held: HeldState | None,
    lines: list[dict[str, Any]],
    reporter: Reporter | None,
) -> dict[str, Any]:
    """Plan, then for each experience: learn, ledger, budget, evaluate, record, checkpoint.

    No strategy object lives through a boundary.  ``learn`` rebuilds one from what was held and returns what it
    holds; evaluation rebuilds another, so that the accuracy reported is the accuracy of what was kept.
    """
    recipe, data = recipe_of(scenario), scenario.source.load()
    order = exposure_order(scenario.labels.train, scenario.plan)
    train, test = _with_class_ids(data.train, order), _with_class_ids(data.test, order)
    for index in range(len(lines), len(scenario.plan)):
        begun = time.perf_counter()
        samples = train[torch.tensor(scenario.plan.experience(index))]
        if scenario.memory.audit == "process":
            learned = learn_in_process(recipe, index, held, samples)
        else:
            learned = learn(recipe, index, held, samples, reporter.progress if reporter else None)
        learning = time.perf_counter() - begun
        held = learned.held
        if recipe.budget is not None:
            recipe.budget.enforce(held.entries, index)
        evaluated = rebuild(recipe, index + 1, held)
        seen = recipe.exposures[index].seen_classes
        correct = correct_per_class(evaluated, test[test.y < seen], seen, recipe.device).tolist()
        predicting = time.perf_counter() - begun - learning
        line = {
            **_line(recipe, order, index, held, correct, torch.bincount(test.y)[:seen].tolist()),
            "samples": len(samples),
            "transient": learned.transient,
            "notes": [*learned.notes, *dict.fromkeys(evaluated.notes)],
            "seconds": {"learn": learning, "predict": predicting, "total": time.perf_counter() - begun},
        }
        if store is not None:
            store.commit(index, held, line)
        lines.append(line)
        if reporter:
            reporter.finished(line)
    return result_of(scenario, recipe.exposures, recipe.budget, recipe.device, lines)


def _with_class_ids(samples: Samples, order: Int64) -> Samples:
    return Samples(samples.x, torch.from_numpy(class_ids(samples.y.numpy(), order)))


def _line(
    recipe: Recipe,
    order: Int64,
    index: int,
    held: HeldState,
    correct: list[int],
    tested: list[int],
) -> dict[str, Any]:
    """Return the record of an experience: what came, what was right, what is held."""
    exposure = recipe.exposures[index]
    return {
        "experience": index,
        "classes": order[list(exposure.classes)].tolist(),
        "new_classes": order[list(exposure.new_classes)].tolist(),
        "correct": correct,
        "tested": tested,
        "accuracy": sum(correct) / sum(tested),
        "held_bytes": held_bytes(held.entries, "full"),
        "paper_bytes": held_bytes(held.entries, "paper"),
        "entries": [entry.plain() for entry in held.entries],
    }


def _keep_source(scenario: Scenario, directory: Path) -> None:
    """Put a user's strategy module beside ``config.yaml``, so that the directory re-creates its run."""
    source = getattr(sys.modules.get(scenario.strategy_class.__module__), "__file__", None)
    if source and scenario.folder and Path(source).parent == scenario.folder:
        shutil.copy(source, directory)


__all__: Sequence[str] = ["MemoryContractError", "Reporter", "ResumeError", "run"]
