"""Cells in actors of a Ray cluster.

Only this machine writes the sweep's folder.  An actor runs its cell in a scratch folder of its node and hands over
every committed experience; it is committed here, in the run directory whose lock this process holds, as if it had
been run here.  A cell whose node is lost is handed to another actor with the files that were committed.  Ray
restarts and repeats nothing: that is the scheduler's.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cl_engine
from cl_engine.errors import EngineError, InputError
from cl_engine.kinds.problems import one_line
from cl_engine.reports.result import FILE as RESULT
from cl_engine.reports.result import LINES
from cl_engine.running.loading import LEARNER, describe, modules_beside
from cl_engine.running.store import INDEX, STATE, LockedError, RunDirectory
from cl_engine.sweeping.cells import Cell
from cl_engine.sweeping.executors import Event, Job
from cl_engine.sweeping.local import THREADS
from cl_engine.sweeping.node import Node, Place, Said
from cl_engine.sweeping.running import FULL, LONGEST
from cl_engine.sweeping.worker import LOG

AUTO = "auto"
REACHED_WITHIN = 10.0  # seconds
FAREWELL = 5.0  # seconds that actors are given to remove their scratch folders


@dataclass(eq=False)
class _Running:
    """A cell that an actor has; ``place`` is unknown until it has begun there.

    ``replaced`` is whether an actor that it was given died before that.
    """

    job: Job
    files: dict[str, bytes]
    store: RunDirectory
    done: int
    actor: Any
    pending: Any
    place: Place | None = None
    replaced: bool = False


class OnRay:
    """Runs cells in actors of a Ray cluster, as many at a time as its nodes have cores and GPUs for.

    Args:
        address: of the cluster; ``auto`` is the one that runs here, or else one of this machine alone.
        cells: that may be submitted.
        threads: and cores of each actor.
        workers: how many actors at most; None: as many as there is room for.
        gpus: of each actor; a fraction shares one.

    Raises:
        InputError: Ray is not installed, the cluster cannot be reached, or no node has room for a cell.
    """

    def __init__(
        self, address: str, cells: Sequence[Cell], threads: int, workers: int | None = None, gpus: float = 0.0
    ) -> None:
        self._ray = _installed()
        if gpus > 1 and gpus != int(gpus):
            raise InputError(f"got {gpus} GPUs per cell; allowed: a fraction of one, or whole ones")
        self._cells = {cell.number: cell for cell in cells}
        self._modules = _modules_of(cells)
        self._threads, self._workers, self._gpus = threads, workers, gpus
        self._said: deque[Event] = deque()
        self._running: list[_Running] = []
        self._idle: list[Any] = []
        self._connected_here = _connect(self._ray, address)
        if not self._room():
            self.close()
            wants = f"{threads} cores" + (f" and {gpus} GPUs" if gpus else "")
            raise InputError(f"no node of the cluster has {wants}; allowed: what one node has")

    @property
    def free(self) -> int:
        """How many cells the nodes that live now have room for."""
        return max(0, self._room() - len(self._running))

    def submit(self, job: Job) -> None:
        """Lock the cell's run directory, and hand the cell to an actor with what was committed there."""
        store = None
        try:
            scenario = self._cells[job.cell].scenario
            store = RunDirectory(Path(job.folder) / job.directory, scenario.identity)
            if finished := store.finished():
                store.close()
                self._say(job, "done", {"seconds": finished["seconds"]["total"]})
                return
            files, done = {}, 0
            if resumed := store.resume():
                done = len(resumed[1])
                files = {name: (store.path / name).read_bytes() for name in (LINES, STATE, INDEX)}
            else:
                describe(store, scenario, modules_beside(scenario))  # the node says the rest of its learner
        except LockedError:
            self._say(job, "locked", {})
        except (EngineError, OSError) as error:
            if store is not None:
                store.close()
            self._say(job, *_what_of(error))
        except BaseException:  # Ctrl-C
            if store is not None:
                store.close()
            self._say(job, "stopped", {})
            raise
        else:
            # resolved here: paths are absolute, and no scenario file is needed there
            job = replace(job, source=scenario.to_dict(), overrides=(), changes={})
            actor = self._idle.pop() if self._idle else self._new()
            self._running.append(_Running(job, files, store, done, actor, actor.begin.remote(job, files)))

    def events(self, timeout: float) -> Iterator[Event]:
        """Yield what the actors say; what is left unsaid by one that died is ``lost``."""
        if not self._said:
            self._listen(timeout)
        while self._said:
            yield self._said.popleft()

    def stop(self) -> None:
        """Ask every actor to end its cell after the next finished experience; what waits for room is not begun."""
        for running in [*self._running]:
            if running.place is None:
                self._drop(running, "stopped", {})
            else:
                running.actor.stop.remote()

    def close(self) -> None:
        """End all actors at once; what they had not finished can be continued."""
        actors = [*self._idle, *(running.actor for running in self._running)]
        with contextlib.suppress(self._ray.exceptions.RayError):
            begun = [*self._idle, *(running.actor for running in self._running if running.place)]
            farewells = [actor.close.remote() for actor in begun]
            if farewells:
                self._ray.wait(farewells, num_returns=len(farewells), timeout=FAREWELL)
        for running in self._running:
            running.store.close()
        self._running.clear()
        self._idle.clear()
        for actor in actors:
            self._kill(actor)
        if self._connected_here:
            self._connected_here = False
            self._ray.shutdown()

    def _room(self) -> int:
        """Return how many cells the nodes that live can run at a time."""
        room = 0
        for node in self._ray.nodes():
            if node["Alive"]:
                here = int(node["Resources"].get("CPU", 0) // self._threads)
                if self._gpus:
                    gpus = int(node["Resources"].get("GPU", 0))
                    here = min(here, int(gpus // self._gpus) if self._gpus > 1 else gpus * int(1 / self._gpus))
                room += here
        return room if self._workers is None else min(room, self._workers)

    def _new(self) -> Any:
        made = self._ray.remote(Node).options(
            num_cpus=self._threads,
            num_gpus=self._gpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=2,
            # before torch is imported, because results depend on it in their last bits
            runtime_env={"env_vars": dict.fromkeys(THREADS, str(self._threads))},
        )
        return made.remote(self._threads, self._modules)

    def _relieve(self) -> None:
        """Hand cells whose actors have no room, since a node was lost, to those that hold it and are idle."""
        waiting = [running for running in self._running if running.place is None]
        while self._idle and waiting and len(self._running) + len(self._idle) > self._room():
            running = waiting.pop()
            self._kill(running.actor)
            running.actor, running.replaced = self._idle.pop(), False
            running.pending = running.actor.begin.remote(running.job, running.files)

    def _listen(self, timeout: float) -> None:
        if not self._running:
            time.sleep(timeout)
            return
        self._relieve()
        by_answer = {running.pending: running for running in self._running}
        for answer in self._ray.wait([*by_answer], num_returns=1, timeout=timeout)[0]:
            running = by_answer[answer]
            try:
                self._heard(running)
            except BaseException:  # Ctrl-C, perhaps between two files: the next to open the directory puts it right
                if running in self._running:
                    self._drop(running, "stopped", {})
                raise

    def _heard(self, running: _Running) -> None:
        try:
            answer = self._ray.get(running.pending)
        except self._ray.exceptions.RayError as error:
            self._lost(running, error)
            return
        if running.place is None:
            running.place, running.files = answer, {}
            _check_version(answer)
        else:
            what, facts = answer.what, answer.facts
            if what == "unwritable":  # there, not here
                self._drop(running, "lost", {"why": f"{running.place.host}: {facts['message']}"})
                return
            try:
                self._keep(running, answer)
            except (EngineError, OSError) as error:
                if isinstance(error, InputError):
                    raise
                self._drop(running, *_what_of(error))
                return
            if what != "progress":
                self._running.remove(running)
                running.store.close()
                self._idle.append(running.actor)
                self._say(running.job, what, facts)
                return
            self._say(running.job, what, facts)
        running.pending = running.actor.next.remote()

    def _keep(self, running: _Running, said: Said) -> None:
        """Write what a cell has handed over, as its run would have written it here."""
        store, files = running.store, said.files
        if files.get(LOG):
            with open(store.path / LOG, "ab") as log:
                log.write(files[LOG])
        if LEARNER in files:
            store.keep(LEARNER, files[LEARNER])
        if STATE in files:
            assert running.place is not None
            _check_identity(json.loads(files[INDEX]), store, running.place.host)
            store.commit(running.done, files[STATE], json.loads(files[LINES]))
            running.done += 1
        if RESULT in files:
            store.keep(RESULT, files[RESULT])

    def _lost(self, running: _Running, error: Exception) -> None:
        if running.place is None and not running.replaced:  # idle, or begun on a node that was not yet known dead
            running.actor, running.replaced = self._new(), True
            running.pending = running.actor.begin.remote(running.job, running.files)
            return
        where = f" on {running.place.host}" if running.place else ""
        self._drop(running, "lost", {"why": f"its process{where} was lost: {one_line(error)[:200]}"})

    def _drop(self, running: _Running, what: str, facts: dict[str, Any]) -> None:
        """Give a cell up, with the actor that has it."""
        self._running.remove(running)
        running.store.close()
        self._kill(running.actor)
        self._say(running.job, what, facts)

    def _kill(self, actor: Any) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError, ValueError):
            self._ray.kill(actor)

    def _say(self, job: Job, what: str, facts: dict[str, Any]) -> None:
        self._said.append(Event(job.cell, what, facts))


def _installed() -> Any:
    try:
        import ray
    except ImportError:
        raise InputError("Ray is not installed; install it with: pip install 'cl-engine[ray]'") from None
    return ray


def _connect(ray: Any, address: str) -> bool:
    """Connect this process to a cluster, unless it is connected already; return whether it was not."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        _answers(address)
        ray.init(address=address, **quiet)
    except Exception as error:  # of many kinds
        if address != AUTO or not isinstance(error, ConnectionError):
            what = f"the Ray cluster {address!r} cannot be reached: {one_line(error)[:200]}"
            raise InputError(f"{what}; allowed: auto, or the address of one that runs") from None
        ray.init(address="local", num_cpus=len(os.sched_getaffinity(0)), include_dashboard=False, **quiet)
    return True


def _answers(address: str) -> None:
    """Raise OSError where nobody listens at ``host:port``; Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACHED_WITHIN).close()


def _modules_of(cells: Sequence[Cell]) -> dict[str, bytes]:
    """Return the user's own modules and the packages they are in, contents by path below the import path."""
    sources = {path for cell in cells for path in cell.scenario.sources}
    found: dict[str, bytes] = {}
    for name, module in [*sys.modules.items()]:
        file = getattr(module, "__file__", None)
        if name != "__main__" and file and Path(file).name in {s.name for s in sources}:
            if Path(file).resolve() not in sources:
                continue
            parts = name.split(".")
            for package in (".".join(parts[:length]) for length in range(1, len(parts) + 1)):
                whole = getattr(sys.modules[package], "__file__", None)
                ending = "/__init__.py" if hasattr(sys.modules[package], "__path__") else ".py"
                if whole:
                    found[package.replace(".", "/") + ending] = Path(whole).read_bytes()
    return found


def _what_of(error: EngineError | OSError) -> tuple[str, dict[str, Any]]:
    """Return the event that an error of this machine's run directory is."""
    if getattr(error, "errno", None) in FULL:
        return "unwritable", {"message": one_line(error)}
    return "failed", {"error": type(error).__name__, "message": one_line(error)[:LONGEST]}


def _check_version(place: Place) -> None:
    if place.version != cl_engine.__version__:
        what = f"{place.host} has cl-engine {place.version}, this machine {cl_engine.__version__}"
        raise InputError(f"{what}; allowed: the same on every node")


def _check_identity(found: dict[str, Any], store: RunDirectory, host: str) -> None:
    for key, value in store.identity.items():
        if found.get(key) != value:
            raise InputError(
                f"{store.path.name}: its {key} on {host} is another than here; allowed: the same files"
            )
