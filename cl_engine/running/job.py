"""The child's side of ``memory.audit: process``: does one job, as plain data and files, and nothing else."""

from __future__ import annotations

import functools
import json
import traceback
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cl_engine.data.samples import Samples
from cl_engine.errors import EngineError
from cl_engine.evaluation.observing import observe
from cl_engine.evaluation.prediction import predicted
from cl_engine.kinds.problems import one_line
from cl_engine.kinds.registry import load
from cl_engine.memory.state import HeldState
from cl_engine.running.learning import learn
from cl_engine.running.lost import reading
from cl_engine.running.store import writing
from cl_engine.scenarios.delivery import Delivery
from cl_engine.strategies.rebuilding import Rebuilder
from cl_engine.terms.terms import Terms

JOB, HELD, GIVEN, MADE, OUTCOME = "job.json", "held.safetensors", "given.safetensors", "made.safetensors", "out"
LONGEST_TRACEBACK = 1 << 16  # characters


def do_job(work: Path) -> None:
    """Do the job of a folder; called in the child."""
    job = json.loads((work / JOB).read_text())
    torch.set_num_threads(job["threads"])
    try:
        outcome = {"learn": _learn, "predict": _predict, "observe": _observe}[job["do"]](work, job)
    except EngineError as error:
        outcome = {"error": type(error).__name__, "message": str(error)}
    except Exception as error:  # of the strategy's own
        found = reading(error)
        outcome = {
            "failed": f"{type(error).__name__}: {one_line(error)}",
            "traceback": traceback.format_exc()[-LONGEST_TRACEBACK:],
            "reading": None if found is None else found._asdict(),
        }
    with writing(work):
        (work / OUTCOME).write_text(json.dumps(outcome))


def _learn(work: Path, job: dict[str, Any]) -> dict[str, Any]:
    rebuilder, index = _rebuilder(job), job["index"]
    lost: set[str] = set()
    delivery = Delivery(tuple(job["stops"]), frozenset(job["evaluate"]))
    given, held = load_file(work / GIVEN), _held(work, rebuilder, index)
    learned = learn(
        rebuilder,
        index,
        held,
        Samples(given["x"], given["y"]),
        delivery,
        functools.partial(_write, work),
        lost=lost,
        analyses=job["analyses"],
    )
    with writing(work):
        (work / MADE).write_bytes(learned.held.data)
    told = {"notes": learned.notes, "remarks": learned.remarks, "lost": sorted(lost)}
    seen = {"observed": learned.observed, "observing": learned.observing}
    return {"transient": learned.transient, **told, **seen}


def _predict(work: Path, job: dict[str, Any]) -> dict[str, Any]:
    rebuilder, index = _rebuilder(job), job["index"]
    strategy = rebuilder.rebuilt(index + 1, _held(work, rebuilder, index + 1))
    columns, device = rebuilder.terms.exposures[index].seen_classes, torch.device(rebuilder.terms.device)
    x = load_file(work / GIVEN)["x"]
    scores = torch.cat([s.cpu() for s in predicted(strategy, x, columns, device, index)])
    with writing(work):
        save_file({"scores": scores.contiguous()}, work / MADE)
    return {"transient": {}, "notes": [str(note) for note in strategy.notes]}


def _observe(work: Path, job: dict[str, Any]) -> dict[str, Any]:
    rebuilder, index = _rebuilder(job), job["index"]
    strategy = rebuilder.rebuilt(index + 1, _held(work, rebuilder, index + 1))
    found = observe(strategy, job["what"], load_file(work / GIVEN)["x"], torch.device(rebuilder.terms.device))
    with writing(work):
        save_file({name: tensor.contiguous() for name, tensor in found.items()}, work / MADE)
    return {"transient": {}, "notes": []}


def _rebuilder(job: dict[str, Any]) -> Rebuilder:
    strategy_class = load("strategies", job["strategy"])
    return Rebuilder(strategy_class, job["options"], Terms.from_json(job["terms"]))  # type: ignore[arg-type]


def _held(work: Path, rebuilder: Rebuilder, experiences: int) -> HeldState | None:
    if not (work / HELD).exists():
        return None
    return HeldState.read((work / HELD).read_bytes(), rebuilder.signature(experiences))


def _write(work: Path, stop: int, held: HeldState) -> None:
    with writing(work):
        (work / f"{stop}.safetensors").write_bytes(held.data)
