"""Living through one experience: learn, see what is held, measure what was kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from cl_engine.evaluation.evaluator import Predictor
from cl_engine.memory.state import HeldState
from cl_engine.running.audit import Audit
from cl_engine.running.stream import Curve, Stream


class Lived(NamedTuple):
    """An experience that was lived through.

    Attributes:
        held: what goes on.
        facts: for the record, plain data: ``measured``, ``curve``, ``transient``, ``remarks``, ``notes``,
            ``seconds``; those of analyses and probes are beside those of learning and predicting.
    """

    held: HeldState
    facts: dict[str, Any]


def live(
    stream: Stream, audit: Audit, index: int, held: HeldState | None, progress: Callable[[str], None] | None
) -> Lived:
    """Learn experience ``index`` from what was held before, enforce the budget, then evaluate what is held now.

    Raises:
        MemoryContractError: the strategy holds more than the budget, or what it may not hold.
    """
    begun = time.perf_counter()
    curve = Curve(stream, index, audit.predictor)
    learned = audit.learn(index, held, stream.samples(index), stream.deliveries[index], curve, progress)
    learning = time.perf_counter() - begun - curve.seconds - learned.observing
    stream.terms.enforce(learned.held.entries, learned.transient, index)
    predictor = audit.predictor(index, learned.held)
    measured: dict[str, Any] = {}
    for evaluator in stream.evaluators:
        measured |= evaluator.facts(predictor, index, stream.terms.exposures[index].seen_classes)
    total = time.perf_counter() - begun - learned.observing
    notes = [*learned.notes, *dict.fromkeys(predictor.notes)]
    seconds = {"learn": learning, "predict": total - learning, "total": total}
    if stream.diagnostics:
        measured["observed"] = learned.observed
        for diagnostic in stream.diagnostics:
            seen = stream.terms.exposures[index].seen_classes
            measured |= diagnostic.facts(predictor, partial(_before, audit, index, held), index, seen)
        seconds["analyses"] = time.perf_counter() - begun - total
    facts = {
        "measured": measured,
        "curve": curve.points,
        "transient": learned.transient,
        "remarks": learned.remarks,
        "notes": notes,
        "seconds": seconds,
    }
    return Lived(learned.held, facts)


def _before(audit: Audit, index: int, held: HeldState | None) -> Predictor:
    """Return what predicts as it stood before an experience."""
    assert held is not None, "nothing was held before the first experience"
    return audit.predictor(index - 1, held)
