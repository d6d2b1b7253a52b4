"""The contract of a strategy: four methods, and a state that is exactly its ``state_dict()``."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, Literal, get_args

from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.errors import InputError
from cl_engine.memory.held import Held
from cl_engine.terms.task import Task

BudgetDecides = Literal["nothing", "exemplars", "everything"]


class Strategy(Held):
    """Base class of every strategy, built in or the user's own.

    At every boundary the engine throws the object away and rebuilds it: an object made by ``__init__`` with the
    same options, which went through ``begin`` for every experience so far and never saw a sample, then
    ``load_state_dict``.  What is in neither parameters nor buffers nor :meth:`hold` is gone by then, so it can help
    nobody.  Evaluation uses the rebuilt object.

    The keyword arguments of ``__init__`` are the strategy's options in a scenario file; annotate them and they are
    checked.  ``begin`` and ``learn`` run with the global generators seeded for the experience, so that plain
    ``nn.Linear(...)`` repeats; ``task.generator(purpose)`` is better.

    In a sweep, runs that differ in their memory budget alone share work as far as the class itself (a subclass may
    differ) says what the budget decides: ``budget_decides = "nothing"`` of a method that keeps no exemplars, which
    is then never shown a budget; ``"exemplars"`` of one whose first training it does not touch, which is then
    called through ``task.once``.
    """

    options: dict[str, Any]
    budget_decides: ClassVar[BudgetDecides] = "everything"

    def __new__(cls, *args: Any, **kwargs: Any) -> Strategy:
        """Remember the options, so that the engine can build the same strategy again."""
        made = super().__new__(cls)
        named: dict[str, Any] = {}
        if args or kwargs:  # a copy is made with neither, and brings its options along
            signature = inspect.signature(cls.__init__)
            named = dict(list(signature.bind(made, *args, **kwargs).arguments.items())[1:])
            for name, parameter in signature.parameters.items():
                if parameter.kind is parameter.VAR_KEYWORD:
                    named.update(named.pop(name, {}))
        object.__setattr__(made, "options", named)
        object.__setattr__(made, "notes", [])
        return made

    notes: list[str]

    def begin(self, task: Task) -> None:
        """Grow for the new classes; no data; a deterministic function of the options and of ``task``."""

    def learn(self, task: Task, samples: Samples) -> None:
        """Learn from samples of the experience; an online stream calls this once per micro-batch."""
        raise NotImplementedError

    def end(self, task: Task) -> None:
        """Finish the experience, after its last delivery; no data.  Called once, in an online stream too."""

    def predict(self, x: Tensor) -> Tensor:
        """Return scores ``[B, classes seen so far]`` for samples ``[B, ...]``; evaluated without gradients."""
        raise NotImplementedError

    def note(self, text: str) -> None:
        """Put a remark into the run's record and on the screen, such as a numerical safeguard that acted."""
        self.notes.append(text)


def budget_decides(strategy: type[Strategy]) -> BudgetDecides:
    """Return what a strategy's own class says that the budget decides; everything, where it says nothing itself.

    Raises:
        InputError: it says something else.
    """
    said: BudgetDecides = vars(strategy).get("budget_decides", "everything")
    if said not in (allowed := get_args(BudgetDecides)):
        raise InputError(f"{strategy.__name__}.budget_decides is {said!r}; allowed: {', '.join(allowed)}")
    return said


METHODS = {"begin": ("task",), "learn": ("task", "samples"), "end": ("task",), "predict": ("x",)}


def check_methods(strategy: type[Strategy]) -> None:
    """Check that a strategy has the methods that it must have, and that all four take what they are given.

    Raises:
        InputError: it lacks one, one takes other arguments, or what it declares is nothing that can be declared.
    """
    budget_decides(strategy)
    for name, given in METHODS.items():
        method, call = getattr(strategy, name), f"{name}({', '.join(given)})"
        if name in ("learn", "predict") and method is getattr(Strategy, name):
            raise InputError(f"{strategy.__name__} has no {name}(); allowed: a subclass with def {_header(name)}")
        if not inspect.isfunction(inspect.getattr_static(strategy, name)):
            continue
        try:
            inspect.signature(method).bind(None, *given)
        except TypeError:
            found = f"{strategy.__name__}.{name}{inspect.signature(method)}"
            raise InputError(f"{found} cannot be called as {call}; allowed: def {_header(name)}") from None


def _header(name: str) -> str:
    return f"{name}(self, {', '.join(METHODS[name])})"
