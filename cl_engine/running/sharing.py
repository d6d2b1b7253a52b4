"""What runs that differ in their memory budget alone compute once.

A strategy declares what the budget decides (:attr:`cl_engine.strategies.strategy.Strategy.budget_decides`).  Of one
that it decides nothing of, every experience is computed by the run that comes first and taken over by the others,
accuracy and all; only the budget is enforced by each.  Of one whose exemplars it decides, the first experience's
training is.  What is taken over is checked by SHA-256, and computed again where it is missing or damaged.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import nn

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.memory.state import HeldState
from cl_engine.running.living import Lived
from cl_engine.running.store import DAMAGED
from cl_engine.strategies.rebuilding import Rebuilder
from cl_engine.strategies.strategy import budget_decides
from cl_engine.terms.task import Task
from cl_engine.terms.terms import Terms

BUDGET = ("budget", "policy", "exemplars")  # keys of `memory` that a budget consists of
GENERATOR = "generator/"  # prefix of generator states among tensors


def shared_key(scenario: Scenario) -> str | None:
    """Return a digest of all but the budget, equal for runs that can share; None where nothing is shared."""
    if budget_decides(scenario.strategy_class) == "everything":
        return None
    said = scenario.to_dict()
    said["memory"] = {key: value for key, value in said["memory"].items() if key not in BUDGET}
    said.pop("name")
    identity = {key: value for key, value in scenario.identity.items() if key != "run"}
    made_by = [cl_engine.__version__, torch.__version__, torch.get_num_threads()]
    text = json.dumps([said, identity, made_by], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class Sharing:
    """What equal runs share; a run without a folder for it, or whose strategy shares nothing, computes all itself.

    Args:
        scenario: of the run.
        folder: of the sweep's shared work, or None.
    """

    def __init__(self, scenario: Scenario, folder: Path | None) -> None:
        key = None if folder is None else shared_key(scenario)
        self._folder = None if folder is None or key is None else folder / key
        self._whole = budget_decides(scenario.strategy_class) == "nothing"

    def terms(self, terms: Terms) -> Terms:
        """Return the terms that the strategy is taught under: of one that no budget decides, without it."""
        return dataclasses.replace(terms, budget=None) if self._whole else terms

    def experience(self, index: int, rebuilder: Rebuilder) -> Lived | None:
        """Return an experience that an equal run has lived through; None if there is none."""
        if not self._whole or not (found := self._read(f"experience-{index}")):
            return None
        held, facts = found
        return Lived(HeldState.read(held, rebuilder.signature(index + 1)), facts)

    def keep_experience(self, index: int, lived: Lived) -> None:
        """Leave an experience for equal runs."""
        if self._whole:
            self._write(f"experience-{index}", lived.held.data, lived.facts)

    def train(self, task: Task, module: nn.Module, train: Callable[[], None]) -> None:
        """Train in the first experience, or do to ``module`` and ``task`` what an equal run's training did."""
        unshared = self._whole or task.index or task.online or task.device.type != "cpu" or task.observe
        if self._folder is None or unshared:
            train()
            return
        before = hashlib.sha256(save(_tensors(module))).hexdigest()[:16]
        name = f"training-{before}"
        if found := self._read(name):
            _take_over(module, task, *found)
            return
        train()
        drawn = {f"{GENERATOR}{purpose}": state for purpose, state in task.random_state().items()}
        facts = {"transient": task.transient, "channels_last": _channels_last(module)}
        self._write(name, save({**_tensors(module), **drawn}), facts)

    def _read(self, name: str) -> tuple[bytes, dict[str, Any]] | None:
        if self._folder is None:
            return None
        try:
            said = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
            data = (self._folder / f"{name}.safetensors").read_bytes()
            whole = said["sha256"] == hashlib.sha256(data).hexdigest()
            return (data, said["facts"]) if whole else None
        except (OSError, *DAMAGED):
            return None

    def _write(self, name: str, data: bytes | memoryview, facts: dict[str, Any]) -> None:
        """Write tensors, then what vouches for them; a disk that is full only means that nothing is shared."""
        if self._folder is None:
            return
        said = {"sha256": hashlib.sha256(data).hexdigest(), "facts": facts}
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            for suffix, content in ((".safetensors", data), (".json", json.dumps(said).encode())):
                new = self._folder / f"{name}{suffix}.{os.getpid()}.new"
                try:
                    new.write_bytes(content)
                    new.replace(self._folder / f"{name}{suffix}")
                finally:
                    new.unlink(missing_ok=True)


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in module.state_dict().items()}


def _channels_last(module: nn.Module) -> bool:
    """Tell whether training has laid the weights out anew, on which the last bits of features depend."""
    images = [p for p in module.parameters() if p.ndim == 4 and min(p.shape[1:]) > 1]
    return any(p.is_contiguous(memory_format=torch.channels_last) for p in images)


def _take_over(module: nn.Module, task: Task, data: bytes, facts: dict[str, Any]) -> None:
    tensors = load(data)
    drawn = {name for name in tensors if name.startswith(GENERATOR)}
    task.set_random_state({name.removeprefix(GENERATOR): tensors.pop(name) for name in drawn})
    module.load_state_dict(tensors)
    if facts["channels_last"]:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module.eval()  # as fit() leaves it
    for name, amount in facts["transient"].items():
        task.charge(name, amount)
