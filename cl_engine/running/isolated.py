"""``memory.audit: process``: every experience is learned in a fresh process, and evaluated in another.

Parent and child exchange files: the job (plain data), the held state and samples go in; the new state or scores
come out.  Nothing else crosses, so neither an attribute nor a closure nor a module-level variable of the strategy
survives; samples of other experiences and all test labels stay in the parent.  A file holds all samples of an
experience, so each of them is in memory while it is written and read, also where the data is larger than that.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cl_engine.data.samples import Inputs, Samples
from cl_engine.errors import EngineError, known_errors
from cl_engine.evaluation.prediction import BATCH, checked
from cl_engine.kinds.problems import one_line
from cl_engine.kinds.registry import spelled
from cl_engine.memory.state import HeldState
from cl_engine.running.audit import Snapshot
from cl_engine.running.job import GIVEN, HELD, JOB, MADE, OUTCOME
from cl_engine.running.learning import Learned
from cl_engine.running.lost import Reading
from cl_engine.running.server import Server
from cl_engine.running.store import writing
from cl_engine.scenarios.delivery import Delivery
from cl_engine.strategies.rebuilding import Rebuilder
from cl_engine.terms.charges import Charges

LARGEST_OUTCOME = 1 << 24  # bytes of plain data that a child may answer with


class ProcessError(EngineError, RuntimeError):
    """The process that learned or evaluated an experience failed."""


class ProcessAudit:
    """Learns and predicts in children of a server that was started before the strategy did anything.

    Args:
        rebuilder: knows the strategy and what it declares without having seen a sample.
        folder: where jobs are exchanged; removed in the end.
        analyses: names of what to observe while an experience is learned.

    Raises:
        ProcessError: a child could not import the strategy.
    """

    def __init__(self, rebuilder: Rebuilder, folder: Path | None = None, analyses: Collection[str] = ()) -> None:
        self.rebuilder, self.analyses = rebuilder, analyses
        self.lost: set[str] = set()
        self.kind = spelled("strategies", rebuilder.strategy_class)
        if "<locals>" in self.kind or self.kind.startswith("__main__:"):
            raise ProcessError(f"memory.audit: process needs a strategy that can be imported; {self.kind} cannot")
        with writing(folder or Path(tempfile.gettempdir())):
            if folder is None:
                folder = Path(tempfile.mkdtemp(prefix="cl-engine-"))
            folder.mkdir(exist_ok=True)
            self.folder = folder.resolve()  # children have another current directory
            self.server = Server(self.folder)

    def learn(
        self,
        index: int,
        held: HeldState | None,
        samples: Samples,
        delivery: Delivery,
        snapshot: Snapshot,
        progress: Callable[[str], None] | None,
    ) -> Learned:
        """Do what :func:`cl_engine.running.learning.learn` does, in a process of its own.

        Snapshots are taken there and handed to ``snapshot`` here afterwards, so no test sample ever goes there.

        Raises:
            ProcessError: the process ended without a result.
        """
        delivered = {"stops": delivery.stops, "evaluate": sorted(delivery.evaluate), "analyses": [*self.analyses]}
        given = {"x": samples.x, "y": samples.y}
        with self._job({"do": "learn", "index": index, **delivered}, held, given) as (work, outcome):
            self.lost.update(map(str, outcome["lost"]))
            signature = self.rebuilder.signature(index + 1)
            learned = HeldState.read((work / MADE).read_bytes(), signature)
            for stop in sorted(delivery.evaluate):
                snapshot(stop, HeldState.read((work / f"{stop}.safetensors").read_bytes(), signature))
        charges = Charges()
        for name, amount in outcome["transient"].items():
            charges.add(name, amount)
        notes, remarks = ([str(said) for said in outcome[key]] for key in ("notes", "remarks"))
        observed, observing = outcome["observed"], float(outcome["observing"])
        return Learned(learned, charges.largest(), notes, remarks, observed, observing)

    def predictor(self, index: int, held: HeldState) -> ProcessPredictor:
        """Return what predicts in a process of its own."""
        return ProcessPredictor(self, index, held)

    def close(self) -> None:
        """End the server; remove what jobs left."""
        self.server.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _job(self, job: dict[str, Any], held: HeldState | None, given: dict[str, Tensor]) -> _Job:
        return _Job(self, job, held, given)


class ProcessPredictor:
    """Predicts in a fresh process each time it is asked."""

    def __init__(self, audit: ProcessAudit, index: int, held: HeldState) -> None:
        self.audit, self.index, self.held = audit, index, held
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> list[str]:
        """Remarks of the strategy so far."""
        return list(self._notes)

    def __call__(self, x: Inputs) -> Iterator[Tensor]:
        """Yield scores ``[B, classes seen]``."""
        columns = self.audit.rebuilder.terms.exposures[self.index].seen_classes
        with self._job("predict", x) as (work, outcome):
            scores = load_file(work / MADE).get("scores")
        self._notes.update(dict.fromkeys(map(str, outcome["notes"])))
        yield from torch.split(checked(self.audit.kind, scores, len(x), columns, self.index), BATCH)

    def observe(self, what: str, x: Inputs) -> dict[str, Tensor]:
        """Return what :func:`cl_engine.evaluation.observing.observe` finds."""
        with self._job("observe", x, what=what) as (work, _):
            return load_file(work / MADE)

    def _job(self, do: str, x: Inputs, **more: str) -> _Job:
        job = {"do": do, "index": self.index, **more}
        return self.audit._job(job, self.held, {"x": torch.cat([*x.split(BATCH)])})


class _Job:
    """One job: its folder is written, done by a child, read in the ``with`` block, and removed."""

    def __init__(
        self, audit: ProcessAudit, job: dict[str, Any], held: HeldState | None, given: dict[str, Tensor]
    ) -> None:
        self.audit, self.job, self.held, self.given = audit, job, held, given

    def __enter__(self) -> tuple[Path, dict[str, Any]]:
        audit, terms = self.audit, self.audit.rebuilder.terms
        with writing(audit.folder):
            self.work = Path(tempfile.mkdtemp(dir=audit.folder))
            plain = {
                "strategy": audit.kind,
                "options": audit.rebuilder.options,
                "terms": terms.until(self.job["index"]).to_json(),
                "threads": torch.get_num_threads(),
                **self.job,
            }
            (self.work / JOB).write_text(json.dumps(plain))
            save_file({name: tensor.cpu().contiguous() for name, tensor in self.given.items()}, self.work / GIVEN)
            if self.held is not None:
                (self.work / HELD).write_bytes(self.held.data)
        return self.work, self._outcome(audit.server.run(self.work))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        if isinstance(error, OSError | SafetensorError):
            raise ProcessError(f"the process left no result that can be read: {one_line(error)}") from None

    def _outcome(self, status: int) -> dict[str, Any]:
        try:
            text = (self.work / OUTCOME).read_bytes()
            outcome: dict[str, Any] = json.loads(text) if len(text) <= LARGEST_OUTCOME else {}
            needed = {
                "notes",
                "transient",
                *(("remarks", "lost", "observed", "observing") if self.job["do"] == "learn" else ()),
            }
            if not {"error", "failed"} & set(outcome) and not needed <= set(outcome):
                raise ValueError("incomplete")
        except (OSError, ValueError, TypeError, RecursionError):
            shutil.rmtree(self.work, ignore_errors=True)
            raise ProcessError(
                f"the process that was to {self.job['do']} experience {self.job['index'] + 1} ended with status "
                f"{status} and without a result"
            ) from None
        if "error" in outcome:
            shutil.rmtree(self.work, ignore_errors=True)
            raise known_errors().get(outcome["error"], ProcessError)(str(outcome["message"]))
        if "failed" in outcome:
            shutil.rmtree(self.work, ignore_errors=True)
            self._fail(outcome)
        return outcome

    def _fail(self, outcome: dict[str, Any]) -> NoReturn:
        """Say what a strategy's own error was, with the traceback that its author needs."""
        if outcome["reading"] is not None:
            Reading(**outcome["reading"]).check(self.audit.lost)
        print(outcome["traceback"], end="", file=sys.stderr, flush=True)
        job = f"{self.job['do']} experience {self.job['index'] + 1}"
        raise ProcessError(f"the process that was to {job} failed: {outcome['failed']}")
