"""Building a strategy as it stands after so many experiences, at a cost that does not grow with them."""

from __future__ import annotations

import copy
import gc
import sys
import types
import weakref
from collections.abc import Mapping
from typing import Any

import torch

from cl_engine.errors import InputError
from cl_engine.memory.compression import packed_entries
from cl_engine.memory.held import Held
from cl_engine.memory.ledger import ledger
from cl_engine.memory.state import HeldState, Signature, restore
from cl_engine.randomness import isolated
from cl_engine.strategies.strategy import Strategy, check_methods
from cl_engine.terms.task import Task
from cl_engine.terms.terms import Terms


class Rebuilder:
    """Builds one strategy again and again.

    It keeps a pristine object that has begun every experience so far and never saw a sample.  What is handed out is
    a deep copy of it; where a deep copy would share something that can change (a closure, say), every ``begin`` is
    replayed instead, which costs more the more there were.

    Args:
        strategy_class: the strategy.
        options: keyword arguments of its ``__init__``.
        terms: the terms of the run.

    Raises:
        InputError: the class lacks a method, or ``super().__init__()``.
    """

    def __init__(self, strategy_class: type[Strategy], options: Mapping[str, Any], terms: Terms) -> None:
        check_methods(strategy_class)
        self.strategy_class, self.options, self.terms = strategy_class, options, terms
        self._pristine, self._begun = self._new(), 0
        self._signature: Signature | None = None  # of the pristine object as it stands
        self._copies = _copies_wholly(self._pristine)

    def begun(self, experiences: int) -> Strategy:
        """Return the strategy after that many ``begin``, without any state of its own."""
        if self._copies and experiences >= self._begun:
            self._advance(experiences)
            if self._copies and (copied := self._copy()) is not None:
                return copied
        strategy = self._new()
        for index in range(experiences):
            self._begin(strategy, index)
        return strategy

    def signature(self, experiences: int) -> Signature:
        """Return what the strategy declares by then."""
        if experiences < self._begun:
            return Signature.of(self.begun(experiences))
        self._advance(experiences)
        if self._signature is None:
            self._signature = Signature.of(self._pristine)
        return self._signature

    def rebuilt(self, experiences: int, held: HeldState | None) -> Strategy:
        """Return the strategy as it stands after that many experiences: options, begins, state; evaluation mode.

        Raises:
            MemoryContractError: the state does not fit what ``begin`` builds.
        """
        strategy = self.begun(experiences)
        if held is not None:
            device = torch.device(self.terms.device)
            restore(strategy, held, self.signature(experiences), device)
        strategy.eval()
        return strategy

    def fixed_exemplars(self) -> int:
        """Return the bytes that are free for exemplars at every boundary, found by growing without data."""
        budget = self.terms.budget
        assert budget is not None
        strategy, least = self._new(), budget.bytes
        for index in range(len(self.terms.exposures)):
            self._begin(strategy, index)
            entries = packed_entries(ledger(strategy), self.terms.model_dtype)
            least = min(least, budget.at(index).room(entries).bytes)
        return least

    def _advance(self, experiences: int) -> None:
        for index in range(self._begun, experiences):
            self._signature = None
            self._begin(self._pristine, index)
            self._copies = self._copies and _copies_wholly(self._pristine)
        self._begun = max(self._begun, experiences)

    def _copy(self) -> Strategy | None:
        try:
            return copy.deepcopy(self._pristine)
        except Exception:  # whatever cannot be copied is begun again instead
            self._copies = False
            return None

    def _begin(self, strategy: Strategy, index: int) -> None:
        begin(strategy, self.terms.task(index), self.terms.seed)

    def _new(self) -> Strategy:
        options = copy.deepcopy(dict(self.options))  # a mutable option is no hiding place
        try:
            strategy = self.strategy_class(**options)
        except AttributeError as error:
            if "Module.__init__() call" not in str(error) and error.name not in vars(Held()):
                raise
            raise _unmade(_module_of(error)) from None
        if not vars(Held()).keys() <= vars(strategy).keys():
            raise _unmade(strategy)
        return strategy


def _unmade(module: object) -> InputError:
    name = type(module).__name__
    return InputError(f"{name}.__init__() does not call super().__init__(); allowed: call it first")


def _module_of(error: AttributeError) -> object:
    """Return the module, the strategy or a part of it, in whose method an error was raised."""
    found, trace = None, error.__traceback__
    while trace is not None:
        found, trace = trace.tb_frame.f_locals.get("self", found), trace.tb_next
    return found


def begin(strategy: Strategy, task: Task, seed: int) -> None:
    """Call ``strategy.begin`` with the global generators seeded for the experience."""
    with isolated(seed, f"begin/{task.index}"):
        strategy.begin(task)


def _copies_wholly(root: object) -> bool:
    """Tell whether a deep copy of ``root`` shares nothing with it that could change.

    Deep copies share functions, weak references and bound methods of built-in objects, and obey a class's own
    ``__deepcopy__`` or ``__reduce__``; of these only what belongs to a module anyway (``F.relu``) or to a well-kept
    library passes.
    """
    seen: set[int] = set()
    todo = [root]
    while todo:
        found = todo.pop()
        if id(found) in seen or isinstance(found, type | types.ModuleType | types.CodeType):
            continue
        seen.add(id(found))
        kind = type(found)
        if kind is types.FunctionType:
            if not _importable(found):
                return False
            continue
        if kind is types.BuiltinFunctionType:
            owner = getattr(found, "__self__", None)
            if owner is not None and not isinstance(owner, type | types.ModuleType):
                return False
            continue
        if isinstance(found, weakref.ref | types.GeneratorType | types.CoroutineType):
            return False
        if kind.__module__.partition(".")[0] not in LIBRARIES and _copies_itself(kind):
            return False
        if isinstance(found, torch.Tensor) and not found.is_leaf:
            return False
        todo.extend(gc.get_referents(found))
    return True


LIBRARIES = ("builtins", "collections", "functools", "torch", "numpy", "cl_engine", "pathlib", "enum", "pydantic")
OWN_COPIES = ("__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__copy__")


def _copies_itself(kind: type) -> bool:
    """Tell whether a class outside of known libraries says itself how it is copied."""
    own = (c for c in kind.__mro__ if c.__module__.partition(".")[0] not in LIBRARIES)
    return any(name in vars(c) for c in own for name in OWN_COPIES)


def _importable(function: Any) -> bool:
    found: Any = sys.modules.get(function.__module__ or "")
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is function
