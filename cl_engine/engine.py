"""The loop: a scenario in, a run record out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from cl_engine.config.scenario import Scenario
from cl_engine.kinds.registry import refuse_while_importing
from cl_engine.memory.ledger import MemoryContractError
from cl_engine.memory.state import HeldState
from cl_engine.running.audit import Audit, RebuildAudit
from cl_engine.running.isolated import ProcessAudit
from cl_engine.running.living import live
from cl_engine.running.loading import modules_beside
from cl_engine.running.pretraining import obtain
from cl_engine.running.record import RunRecord, memory_facts, result_of
from cl_engine.running.sharing import Sharing
from cl_engine.running.store import ResumeError, RunDirectory
from cl_engine.running.stream import Stream

SHOWN = 5  # other runs that a note names


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
    sharing: Path | None = None,
    **changes: Any,
) -> RunRecord:
    """Run a scenario and return its record.

    Args:
        scenario: what :meth:`Scenario.load` takes, or a loaded scenario.
        out: folder for the run directory ``<name>-<id>``; None writes nothing.
        resume: continue where an earlier run in the same directory ended; a finished one is returned as it is.
            Without it an earlier run is set aside, never overwritten.
        reporter: told how the run proceeds.
        sharing: folder where runs that differ in their budget alone leave what others of them can take over; the
            result is the same without it.
        changes: keys of the scenario to replace, such as ``seed=1``.

    Raises:
        ConfigError: the scenario is wrong, or its budget cannot be kept whatever the samples are.
        MemoryContractError: the strategy holds more than the budget, or what it may not hold.
        StoreError: the run directory cannot be written or resumed.
    """
    refuse_while_importing()
    if not isinstance(scenario, Scenario) or changes:
        scenario = Scenario.load(scenario, **changes)
    scenario.check_budget()
    if out is None:
        if reporter:
            reporter.started(scenario, None, 0, None)
        return RunRecord(_run(scenario, None, None, [], reporter, sharing))
    store = RunDirectory(Path(out) / f"{scenario.name}-{scenario.id}", scenario.identity)
    try:
        state, lines, note = None, [], None
        modules = modules_beside(scenario)  # read before they may be set aside with an earlier run
        if resume and (finished := store.finished()):
            return RunRecord(finished, store.path)
        if resume:
            state, lines = store.resume() or (None, [])
            if lines and lines[-1]["threads"] != torch.get_num_threads():
                note = f"begun with {lines[-1]['threads']} threads, so the result may differ in the last bits"
            if not lines:
                note = _nothing_to_resume(store.path, scenario)
        elif store.holds_a_run:
            note = f"an earlier run was set aside as {store.set_aside()}"
        if not lines:
            store.start(scenario.to_dict())
            for name, source in modules.items():
                store.keep(name, source)
        if reporter:
            reporter.started(scenario, store.path, len(lines), note)
        result = store.finish(_run(scenario, store, state, lines, reporter, sharing))
        return RunRecord(result, store.path)
    finally:
        store.close()


def _run(
    scenario: Scenario,
    store: RunDirectory | None,
    state: bytes | None,
    lines: list[dict[str, Any]],
    reporter: Reporter | None,
    sharing: Path | None,
) -> dict[str, Any]:
    """Plan, then for each experience: learn, ledger, budget, evaluate, record, checkpoint.

    No strategy object lives through a boundary.  Learning rebuilds one from what was held and returns what it
    holds; evaluation rebuilds another, so that the accuracy reported is the accuracy of what was kept.
    """
    for model in scenario.received:
        obtain(model, run)
    terms, shared = scenario.terms(), Sharing(scenario, sharing)
    rebuilder, stream = scenario.rebuilder(shared.terms(terms)), Stream(scenario, terms)
    held = None if state is None else HeldState.read(state, rebuilder.signature(len(lines)))
    audit: Audit = RebuildAudit(rebuilder, shared.train, scenario.analyses)
    if scenario.memory.audit == "process":
        audit = ProcessAudit(rebuilder, None if store is None else store.work, scenario.analyses)
    for line, diagnostic in itertools.product(lines, stream.diagnostics):
        diagnostic.recall(line)
    progress = reporter.progress if reporter else None
    told = {note for line in lines for note in line["notes"]}  # remarks are made once in a run
    try:
        for index in range(len(lines), len(scenario.plan)):
            if lived := shared.experience(index, rebuilder):
                terms.enforce(lived.held.entries, lived.facts["transient"], index)
            else:
                lived = live(stream, audit, index, held, progress)
                shared.keep_experience(index, lived)
            held, facts = lived
            remarks = [remark for remark in facts["remarks"] if remark not in told]
            told.update(remarks)
            line = {
                **stream.facts(index),
                **facts["measured"],
                "curve": facts["curve"],
                **memory_facts([*terms.extractor, *held.entries], facts["transient"], scenario.memory.counted),
                "notes": [*remarks, *facts["notes"]],
                "threads": torch.get_num_threads(),
                "seconds": facts["seconds"],
            }
            if store is not None:
                store.commit(index, held.data, line)
            lines.append(line)
            for diagnostic in stream.diagnostics:
                diagnostic.recall(line)
            if reporter:
                reporter.finished(line)
    finally:
        audit.close()
    return result_of(scenario, terms, lines, [*stream.evaluators, *stream.diagnostics])


def _nothing_to_resume(directory: Path, scenario: Scenario) -> str:
    """Say that a run begins anew, and which others of its name could have been meant."""
    others = sorted(
        path.name
        for path in directory.parent.glob(f"{scenario.name}-*")
        if re.fullmatch(f"{re.escape(scenario.name)}-[0-9a-f]{{12}}", path.name) and path != directory
    )
    more = f" and {len(others) - SHOWN:,} more" if len(others) > SHOWN else ""
    of_name = f" (runs of other options or data: {', '.join(others[:SHOWN])}{more})" if others else ""
    return f"{directory} holds no finished experience, so the run begins anew{of_name}"


__all__: Sequence[str] = ["MemoryContractError", "Reporter", "ResumeError", "run"]
