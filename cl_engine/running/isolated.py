"""``memory.audit: process``: an experience is learned in a fresh Python process.

Parent and child exchange files: the job (plain data), the held state and the experience's samples go in, the new
state comes out.  Nothing else crosses, so neither an attribute nor a closure nor a module-level variable of the
strategy survives; and the samples of other experiences are not in the child's memory at all.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cl_engine.data.samples import Samples
from cl_engine.errors import EngineError
from cl_engine.kinds.registry import load, spelled
from cl_engine.memory.budget import Budget
from cl_engine.memory.ledger import Entry, MemoryContractError
from cl_engine.running.learning import HeldState, Learned, Recipe, learn
from cl_engine.running.store import StoreError, writing
from cl_engine.scenarios.delivery import Delivery
from cl_engine.terms.task import Exposure, HiddenError
from cl_engine.training.loop import DivergedError, Training

JOB, HELD, SAMPLES, LEARNED, OUTCOME = (
    "job.json",
    "held.safetensors",
    "samples.safetensors",
    "learned.safetensors",
    "out",
)
KNOWN_ERRORS = {e.__name__: e for e in (MemoryContractError, DivergedError, HiddenError)}


class ProcessError(EngineError, RuntimeError):
    """The process that learned an experience failed; it printed its own traceback."""


def learn_in_process(
    recipe: Recipe,
    index: int,
    held: HeldState | None,
    samples: Samples,
    delivery: Delivery,
    snapshot: Callable[[int, HeldState], None],
) -> Learned:
    """Do what :func:`cl_engine.running.learning.learn` does, in a process of its own.

    Snapshots are taken there and handed to ``snapshot`` here afterwards, so no test sample ever goes there.

    Raises:
        ProcessError: the strategy cannot be imported there, or the process ended without a result.
    """
    kind = spelled("strategies", recipe.strategy_class)
    if "<locals>" in kind or kind.startswith("__main__:"):
        raise ProcessError(f"memory.audit: process needs a strategy that can be imported; {kind} cannot")
    with tempfile.TemporaryDirectory(prefix="cl-engine-") as name:
        work = Path(name)
        with writing(work):
            _write_job(work, kind, recipe, index, held, samples, delivery)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        child = subprocess.Popen(
            [sys.executable, "-m", "cl_engine.running.isolated", name],
            stdin=subprocess.PIPE,  # held open: its end tells the child that the parent is gone
            stdout=2 if hasattr(sys.stderr, "fileno") else subprocess.DEVNULL,  # ours is kept for results
            env=environment,
            cwd=name,
            start_new_session=True,  # Ctrl-C reaches the parent alone, which ends the child
        )
        try:
            status = child.wait()
        except BaseException:
            child.kill()
            child.wait()
            raise
        learned = _read_outcome(work, status)
        for stop in sorted(delivery.evaluate):
            entries = json.loads((work / f"{stop}.json").read_text())
            snapshot(stop, HeldState(load_file(work / f"{stop}.safetensors"), [Entry.of(e) for e in entries]))
        return learned


def _write_job(
    work: Path,
    kind: str,
    recipe: Recipe,
    index: int,
    held: HeldState | None,
    samples: Samples,
    delivery: Delivery,
) -> None:
    budget = None if recipe.budget is None else dataclasses.asdict(recipe.budget)
    job = {
        "strategy": kind,
        "options": recipe.options,
        "exposures": recipe.exposures[: index + 1],
        "shape": recipe.shape,
        "training": dataclasses.asdict(recipe.training),
        "device": str(recipe.device),
        "seed": recipe.seed,
        "budget": budget,
        "online": recipe.online,
        "boundaries": recipe.boundaries,
        "model_dtype": recipe.model_dtype,
        "stops": delivery.stops,
        "evaluate": sorted(delivery.evaluate),
        "index": index,
        "entries": None if held is None else [e.plain() for e in held.entries],
        "threads": torch.get_num_threads(),
    }
    (work / JOB).write_text(json.dumps(job))
    save_file({"x": samples.x.cpu().contiguous(), "y": samples.y.cpu().contiguous()}, work / SAMPLES)
    if held is not None:
        save_file(held.tensors, work / HELD)


def _read_outcome(work: Path, status: int) -> Learned:
    try:
        outcome = json.loads((work / OUTCOME).read_text())
    except OSError:
        raise ProcessError(f"the process that learned the experience ended with status {status}") from None
    if "error" in outcome:
        raise KNOWN_ERRORS.get(outcome["error"], ProcessError)(outcome["message"])
    entries = [Entry.of(e) for e in outcome["entries"]]
    return Learned(HeldState(load_file(work / LEARNED), entries), outcome["transient"], outcome["notes"])


def _child(work: Path) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = json.loads((work / JOB).read_text())
    torch.set_num_threads(job["threads"])
    recipe = Recipe(
        strategy_class=load("strategies", job["strategy"]),  # type: ignore[arg-type]
        options=job["options"],
        exposures=[Exposure(tuple(a), tuple(b), c) for a, b, c in job["exposures"]],
        shape=tuple(job["shape"]),
        training=Training(**job["training"]),
        device=torch.device(job["device"]),
        seed=job["seed"],
        budget=None if job["budget"] is None else _budget(job["budget"]),
        online=job["online"],
        boundaries=job["boundaries"],
        model_dtype=job["model_dtype"],
    )
    delivery = Delivery(tuple(job["stops"]), frozenset(job["evaluate"]))
    held = None
    if job["entries"] is not None:
        held = HeldState(load_file(work / HELD), [Entry.of(e) for e in job["entries"]])
    try:
        samples = Samples(**load_file(work / SAMPLES))
        learned = learn(recipe, job["index"], held, samples, delivery, functools.partial(_keep, work))
    except tuple(KNOWN_ERRORS.values()) as error:
        (work / OUTCOME).write_text(json.dumps({"error": type(error).__name__, "message": str(error)}))
        return
    outcome = {
        "entries": [e.plain() for e in learned.held.entries],
        "transient": learned.transient,
        "notes": learned.notes,
    }
    with writing(work):
        save_file(learned.held.tensors, work / LEARNED)
        (work / OUTCOME).write_text(json.dumps(outcome))


def _budget(plain: dict[str, Any]) -> Budget:
    policy = plain["policy"]
    limits = tuple(plain["limits"])
    return Budget(**{**plain, "limits": limits, "policy": policy if isinstance(policy, str) else tuple(policy)})


def _keep(work: Path, stop: int, held: HeldState) -> None:
    with writing(work):
        save_file(held.tensors, work / f"{stop}.safetensors")
        (work / f"{stop}.json").write_text(json.dumps([e.plain() for e in held.entries]))


def _end_with_parent() -> None:
    os.read(0, 1)  # returns when the parent closes its end, however it ends
    os._exit(1)


if __name__ == "__main__":
    try:
        _child(Path(sys.argv[1]))
    except StoreError as error:
        print(f"cl-engine: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
