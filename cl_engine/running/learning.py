"""Learning one experience as a function from held state to held state.

A strategy object lives for one experience.  It is rebuilt from its options, from what the stream exposed so far,
and from the bytes that were held; what it holds afterwards is all that goes on.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.memory.budget import Budget
from cl_engine.memory.compression import ModelDtype, pack, packed_entries, unpack
from cl_engine.memory.held import Held
from cl_engine.memory.ledger import Entry, MemoryContractError, ledger
from cl_engine.randomness import isolated
from cl_engine.scenarios.delivery import Delivery
from cl_engine.scenarios.plan import StreamPlan, class_ids, exposure_order
from cl_engine.strategies.strategy import Strategy
from cl_engine.terms.task import Exposure, Task
from cl_engine.training.loop import Training

STRUCTURE = "#structure"  # no attribute of a module can be called that


class HeldState(NamedTuple):
    """What survives an experience: tensors by name, and their ledger entries."""

    tensors: dict[str, Tensor]
    entries: list[Entry]


class Learned(NamedTuple):
    """The outcome of one experience."""

    held: HeldState
    transient: dict[str, int]
    notes: list[str]


@dataclass(frozen=True)
class Recipe:
    """What a strategy is rebuilt from, its state aside."""

    strategy_class: type[Strategy]
    options: Mapping[str, Any]
    exposures: list[Exposure]
    shape: tuple[int, ...]
    training: Training
    device: torch.device
    seed: int
    budget: Budget | None = None
    online: bool = False
    boundaries: bool = True
    model_dtype: ModelDtype = "float32"
    dry: bool = False

    def task(self, index: int) -> Task:
        """Return a fresh task for experience ``index``."""
        return Task(
            index,
            self.exposures[index],
            shape=self.shape,
            training=self.training,
            device=self.device,
            seed=self.seed,
            budget=None if self.budget is None else self.budget.at(index),
            model_dtype=self.model_dtype,
            dry=self.dry,
            online=self.online,
            boundaries=self.boundaries,
        )


def exposures(targets: npt.NDArray[np.int64], plan: StreamPlan) -> list[Exposure]:
    """Return what each experience of a plan exposes."""
    order, labels = exposure_order(targets, plan), plan.delivered(targets)
    seen, found = 0, []
    for t in range(len(plan)):
        present = np.sort(class_ids(np.unique(labels[plan.offsets[t] : plan.offsets[t + 1]]), order))
        new = present[present >= seen]
        seen += len(new)
        found.append(Exposure(tuple(present.tolist()), tuple(new.tolist()), seen))
    return found


def rebuild(recipe: Recipe, experiences: int, held: HeldState | None = None) -> Strategy:
    """Build the strategy as it stands after ``experiences`` experiences: options, begins, state.

    Raises:
        MemoryContractError: the state does not fit what ``begin`` builds.
    """
    strategy = recipe.strategy_class(**copy.deepcopy(dict(recipe.options)))  # a mutable option is no hiding place
    for index in range(experiences):
        begin(strategy, recipe.task(index))
    if held is None:
        return strategy
    tensors = unpack(held.tensors, held.entries, recipe.model_dtype)
    late = json.loads(tensors.pop(STRUCTURE).numpy().tobytes()) if STRUCTURE in tensors else {}
    for name, kind in late.items():  # what `learn` held and `begin` does not declare
        owner, _, own_name = name.rpartition(".")
        module = strategy.get_submodule(owner)
        assert isinstance(module, Held)
        module.hold(own_name, tensors[name].to(recipe.device), kind=kind)
    strategy.undeclared = frozenset(late)
    try:
        strategy.load_state_dict(tensors, strict=True)
        loaded = strategy.state_dict()
        for name, tensor in tensors.items():
            if loaded[name].dtype != tensor.dtype:
                raise RuntimeError(f"{name} is {tensor.dtype}, where begin() makes {loaded[name].dtype}")
    except RuntimeError as error:
        raise MemoryContractError(
            f"{type(strategy).__name__}.begin() does not rebuild what is held: {' '.join(str(error).split())}; "
            "allowed: state that begin() creates, or that hold() declares"
        ) from None
    return strategy.eval()


def fixed_exemplars(recipe: Recipe) -> int:
    """Grow the strategy without data; return the bytes that are free for exemplars at every boundary."""
    assert recipe.budget is not None
    strategy, least = rebuild(recipe, 0), recipe.budget.bytes
    for index in range(len(recipe.exposures)):
        begin(strategy, recipe.task(index))
        entries = packed_entries(ledger(strategy), recipe.model_dtype)
        least = min(least, recipe.budget.at(index).room(entries).bytes)
    return least


def begin(strategy: Strategy, task: Task) -> None:
    """Call ``strategy.begin`` with the global generators seeded for the experience."""
    with isolated(task.seed, f"begin/{task.index}"):
        strategy.begin(task)


def learn(
    recipe: Recipe,
    index: int,
    held: HeldState | None,
    samples: Samples,
    delivery: Delivery | None = None,
    snapshot: Callable[[int, HeldState], None] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Learned:
    """Learn experience ``index`` from its samples, starting from what was held before.

    Args:
        recipe: what the strategy is rebuilt from.
        index: the experience.
        held: what was held after the one before; None for the first.
        samples: the experience, in the order of delivery.
        delivery: its micro-batches; None delivers all at once.
        snapshot: called with the number of samples delivered and what is held by then, wherever the delivery says
            that accuracy is measured.
        progress: shown while learning takes long.
    """
    strategy = rebuild(recipe, index, held)
    task = recipe.task(index)
    if progress is not None:
        task.progress = progress
    begin(strategy, task)
    declared = declared_names(strategy)
    samples, start = samples.to(recipe.device), 0
    with isolated(recipe.seed, f"learn/{index}"):
        for stop in delivery.stops if delivery else [len(samples)] if len(samples) else []:
            strategy.learn(task, samples[start:stop])
            if delivery and stop in delivery.evaluate and snapshot:
                snapshot(stop, hold(strategy, declared, recipe.model_dtype))
            if task.online:
                task.progress(f"{stop}/{len(samples)} samples")
            start = stop
    return Learned(hold(strategy, declared, recipe.model_dtype), task.transient, strategy.notes)


def declared_names(strategy: Strategy) -> frozenset[str]:
    """Return the names of the state that ``begin`` declared, for a strategy that has just begun."""
    return frozenset(strategy.state_dict()) - strategy.undeclared


def hold(strategy: Strategy, declared: frozenset[str], model_dtype: ModelDtype = "float32") -> HeldState:
    """Copy what a strategy holds off it, the model as ``model_dtype``.

    Tensors that ``learn`` held without a declaration in ``begin`` are allowed, but a rebuilt strategy must be told
    their names and kinds; that is information which survives, so it is held, and charged, as a tensor itself.
    """
    state = strategy.state_dict()
    entries = ledger(strategy, state)
    for name, tensor in state.items():
        if tensor.is_meta:
            raise MemoryContractError(f"state_dict()[{name!r}] is on the meta device; allowed: tensors with values")
    tensors = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in state.items()}
    late = {
        e.name: e.kind for e in entries if e.name in state and e.name not in declared and _is_held(strategy, e.name)
    }
    if late:
        tensors[STRUCTURE] = torch.frombuffer(bytearray(json.dumps(late).encode()), dtype=torch.uint8)
        entries.append(Entry("structure", STRUCTURE, (len(tensors[STRUCTURE]),), "uint8", len(tensors[STRUCTURE])))
    return HeldState(pack(tensors, entries, model_dtype), packed_entries(entries, model_dtype))


def _is_held(strategy: Strategy, name: str) -> bool:
    owner, _, own_name = name.rpartition(".")
    module = strategy.get_submodule(owner)
    return isinstance(module, Held) and own_name in module._held_kinds
