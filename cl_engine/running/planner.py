"""What a scenario will hold after every experience, found out before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cl_engine.config.scenario import Scenario
from cl_engine.memory.budget import SAMPLE_KINDS, exemplar_bytes
from cl_engine.memory.ledger import Entry, held_bytes
from cl_engine.memory.state import HeldState
from cl_engine.reports.text import aligned, size
from cl_engine.running.learning import learn
from cl_engine.running.stream import Stream


def plan_memory(scenario: Scenario) -> dict[str, Any]:
    """Return what will be held after each experience, by kind and entry, as plain data.

    The strategy's own code makes the plan: every experience is learned with ``task.dry``, under which the training
    loop takes no step and everything else happens, exemplars chosen and encoded included.  So the plan is exact, to
    the byte, wherever the size of what is held does not depend on the weights.  It does where herding or
    nearest-mean choose among samples whose encoded sizes differ (``jpeg``); the strategy then says so in ``notes``.

    A strategy that trains in a loop of its own trains here too, unless it asks ``task.dry``.
    """
    terms = scenario.terms(dry=True)
    stream, rebuilder = Stream(scenario, terms), scenario.rebuilder(terms)
    held: HeldState | None = None
    experiences, notes = [], []
    for index in range(len(scenario.plan)):
        learned = learn(rebuilder, index, held, stream.samples(index), stream.deliveries[index])
        held = learned.held
        entries = [*terms.extractor, *held.entries]
        limit = None if terms.budget is None else terms.budget.at(index).bytes
        experiences.append(
            {
                "held_bytes": held_bytes(entries, "full"),
                "paper_bytes": held_bytes(entries, "paper"),
                "counted_bytes": None
                if terms.budget is None
                else terms.budget.charged(held.entries, learned.transient),
                "limit": limit,
                "exemplars": _exemplars(entries),
                "kinds": _by_kind(entries),
                "entries": [entry.plain() for entry in entries],
                "training": learned.transient,
            }
        )
        notes += [f"experience {index + 1}: {note}" for note in learned.notes]
    each = exemplar_bytes(scenario.labels.sample_bytes, "full")
    return {
        "name": scenario.name,
        "policy": scenario.memory.policy,
        "raw_exemplar_bytes": each,
        "reference_bytes": scenario.reference_bytes(),
        "experiences": experiences,
        "notes": notes,
    }


def memory_table(plan: dict[str, Any]) -> str:
    """Format a plan: what is held after each experience, and what each part is worth in raw exemplars."""
    experiences, each = plan["experiences"], plan["raw_exemplar_bytes"]
    kinds = list(dict.fromkeys(kind for e in experiences for kind in e["kinds"]))
    limited = experiences[-1]["limit"] is not None
    heading = [
        "experience",
        *kinds,
        "held",
        "held (paper)",
        *(["counted", "budget"] if limited else []),
        "exemplars",
    ]
    rows = [heading]
    for t, e in enumerate(experiences):
        cells = [size(e["kinds"].get(kind, 0)) for kind in kinds]
        budget = [size(e["counted_bytes"]), size(e["limit"])] if limited else []
        rows.append(
            [str(t + 1), *cells, size(e["held_bytes"]), size(e["paper_bytes"]), *budget, f"{e['exemplars']:,}"]
        )
    last = experiences[-1]
    parts = [(kind, n, "held") for kind, n in last["kinds"].items() if kind not in SAMPLE_KINDS and n]
    parts += [(name, n, "while training") for name, n in sorted(last["training"].items())]
    worth = [("part, at the end", "when", "bytes", "worth in exemplars")]
    worth += [(name, when, f"{n:,}", f"{n / each:,.1f}") for name, n, when in parts]
    lines = [aligned(rows), "", aligned(worth), "", f"One raw exemplar is {each:,} bytes with its label."]
    if over := over_budget(plan):
        after = ", ".join(map(str, over))
        what = "a run is refused at once where that is certain, and else stops there"
        lines.append(f"Over the budget after experience {after}: {what}.")
    return "\n".join([*lines, *(f"note: {note}" for note in plan["notes"])])


def over_budget(plan: dict[str, Any]) -> list[int]:
    """Return the experiences, from 1 on, after which a plan exceeds its budget."""
    return [
        t
        for t, e in enumerate(plan["experiences"], start=1)
        if e["limit"] is not None and e["counted_bytes"] > e["limit"]
    ]


def _exemplars(entries: Sequence[Entry]) -> int:
    """Return how many exemplars there are: as many as labels beside them."""
    return sum(entry.shape[0] for entry in entries if entry.kind == "labels")


def _by_kind(entries: Sequence[Entry]) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for entry in entries:
        kinds[entry.kind] = kinds.get(entry.kind, 0) + entry.bytes
    return kinds
