"""Learning one experience as a function from held state to held state.

A strategy object lives for one experience.  It is rebuilt from its options, from what the stream exposed so far,
and from the bytes that were held; what it holds afterwards is all that goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import torch

from cl_engine.data.samples import Samples
from cl_engine.evaluation.observer import GRADIENTS, Observer
from cl_engine.memory.ledger import held_bytes
from cl_engine.memory.state import HeldState, hold
from cl_engine.randomness import isolated
from cl_engine.running.lost import Attributes
from cl_engine.scenarios.delivery import Delivery
from cl_engine.strategies.rebuilding import Rebuilder, begin
from cl_engine.terms.charges import Charges
from cl_engine.terms.task import Once

HOLDS_NOTHING = "holds 0 bytes: is its state declared with self.hold(...) or as a parameter?"


class Learned(NamedTuple):
    """The outcome of one experience.

    Attributes:
        held: what goes on.
        transient: bytes by name that existed only while it was learned.
        notes: remarks of the strategy.
        remarks: what its author should know of what it holds and loses; said once in a run.
        observed: what the analyses of training found, by name; plain data.
        observing: seconds that they took.
    """

    held: HeldState
    transient: dict[str, int]
    notes: list[str]
    remarks: list[str]
    observed: dict[str, Any]
    observing: float = 0.0


def learn(
    rebuilder: Rebuilder,
    index: int,
    held: HeldState | None,
    samples: Samples,
    delivery: Delivery | None = None,
    snapshot: Callable[[int, HeldState], None] | None = None,
    progress: Callable[[str], None] | None = None,
    lost: set[str] | None = None,
    once: Once | None = None,
    analyses: Collection[str] = (),
) -> Learned:
    """Learn experience ``index`` from its samples, starting from what was held before.

    Args:
        rebuilder: builds the strategy.
        index: the experience.
        held: what was held after the one before; None for the first.
        samples: the experience, in the order of delivery.
        delivery: its micro-batches; None delivers all at once.
        snapshot: called with the number of samples delivered and what is held by then, wherever the delivery says
            that accuracy is measured.
        progress: shown while learning takes long.
        lost: gains the names of attributes that were set and not held, before anything is rebuilt.
        once: what :meth:`Task.once` asks, instead of training each time.
        analyses: names of what to observe of the blocks of its network; see :class:`Observer`.
    """
    terms, charges = rebuilder.terms, Charges()
    strategy = rebuilder.rebuilt(index, held)
    task = terms.task(index, charges, progress, once)
    begin(strategy, task, terms.seed)
    strategy.eval()  # what begin() has just built too; fit() sets the mode of what it trains
    observer = Observer(analyses, strategy) if analyses else None
    task.observe = observer.step if observer and GRADIENTS in analyses else None
    signature = rebuilder.signature(index + 1)
    samples, start = samples.to(torch.device(terms.device)), 0
    attributes, lost = Attributes(strategy), set() if lost is None else lost
    with isolated(terms.seed, f"learn/{index}"):
        for stop in delivery.stops if delivery else [len(samples)] if len(samples) else []:
            whole = start == 0 and stop == len(samples)
            strategy.learn(task, samples if whole else samples[start:stop].clone())  # no view of what is to come
            if delivery and stop in delivery.evaluate and snapshot and stop < len(samples):
                lost.update(attributes.lost())
                snapshot(stop, hold(strategy, signature, terms.model_dtype))
            if terms.online and progress:
                progress(f"{stop}/{len(samples)} samples")
            start = stop
        for stepper in task.steppers.values():
            stepper.flush()  # gradients that wait for more micro-batches
        strategy.end(task)
        learned = hold(strategy, signature, terms.model_dtype)
    lost.update(attributes.lost())
    if delivery and len(samples) in delivery.evaluate and snapshot:
        snapshot(len(samples), learned)
    if task.steppers and not terms.dry and not any(stepper.batches for stepper in task.steppers.values()):
        strategy.note("took no step: training.updates_per_sample is too small for the samples of this experience")
    observed = observer.found(strategy) if observer else {}
    empty = [HOLDS_NOTHING] if len(samples) and not held_bytes(learned.entries) else []
    notes, remarks = [str(note) for note in strategy.notes], empty + attributes.remarks()
    return Learned(learned, charges.largest(), notes, remarks, observed, observer.seconds if observer else 0.0)
