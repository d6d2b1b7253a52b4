"""What ``learn`` set and nobody holds: gone at the boundary, and told as such.

Only names are remembered, for the text of notes and errors; no strategy is ever given them.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Collection, Iterator, Mapping, Set
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from cl_engine.evaluation.prediction import ContractError
from cl_engine.memory.held import Held
from cl_engine.strategies.strategy import Strategy

METHODS = ("begin", "learn", "end", "predict")


class Attributes:
    """The plain attributes of a strategy as they are now, to be compared with what they are later."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.before = {name: _mark(value) for name, value in _plain(strategy).items()}

    def lost(self) -> list[str]:
        """Return the names that were set or changed since then."""
        return [
            name
            for name, value in _plain(self.strategy).items()
            if name not in self.before or not _same(self.before[name], _mark(value))
        ]

    def remarks(self) -> list[str]:
        """Return what the author of the strategy should know of its attributes; names with ``_`` are scratch."""
        found = _plain(self.strategy)
        told = [
            f"learn() set self.{name} ({type(found[name]).__name__}) but did not hold it, so it is gone at the "
            f"boundary: self.hold({name!r}, ...) keeps it, a name that begins with _ says that it may go"
            for name in self.lost()
            if not name.startswith("_") and _is_array(found[name])
        ]
        return told + unregistered(self.strategy)


def unregistered(strategy: Strategy) -> list[str]:
    """Return a remark on each attribute that is a plain list, tuple or dict of modules with a state."""
    told = []
    for name, value in _plain(strategy).items():
        values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        if any(isinstance(part, nn.Module) and part.state_dict() for part in values):
            use = "ModuleDict" if isinstance(value, dict) else "ModuleList"
            told.append(
                f"self.{name} is a {type(value).__name__} of modules: not registered, so not held; use nn.{use}"
            )
    return told


class Reading(NamedTuple):
    """Which attributes of a rebuilt strategy an error may be about.

    Attributes:
        reader: the method that failed, such as ``Mine.predict()``.
        names: attributes that it read and that were missing, None or empty.
    """

    reader: str
    names: list[str]

    def check(self, lost: Collection[str]) -> None:
        """Raise what is to be told where one of the names was lost.

        Raises:
            ContractError: says which, and what would have kept it.
        """
        for name in self.names:
            if name in lost:
                raise ContractError(
                    f"{self.reader} reads self.{name}, which learn() set but did not hold: self.hold({name!r}, ...)"
                )


def reading(error: Exception) -> Reading | None:
    """Return what attributes of its strategy an error may be about; None where it is another kind of error.

    ``self.w`` that is not there is an AttributeError.  One that ``__init__`` or ``begin`` made anew, as None or as
    an empty list or dict, shows as what is then done with it.
    """
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    own = [frame for frame in frames if _strategy_of(frame) is not None]
    called = next((frame for frame in own if frame.f_code.co_name in METHODS), None)
    if called is None:
        return None
    strategy: Any = _strategy_of(called)
    reader = f"{type(strategy).__name__}.{called.f_code.co_name}()"
    if isinstance(error, AttributeError) and getattr(error, "obj", None) is strategy and error.name:
        return Reading(reader, [error.name])
    nothing = isinstance(error, TypeError | AttributeError) and "NoneType" in str(error)
    empty = isinstance(error, KeyError | IndexError)
    if not (nothing or empty):
        return None
    attributes, read = _plain(strategy), _names(own[-1].f_code)
    values = {name: attributes[name] for name in read if name in attributes}
    names = [name for name, value in values.items() if (value is None if nothing else _is_empty(value))]
    return Reading(reader, names)


@contextlib.contextmanager
def explained(lost: Set[str]) -> Iterator[None]:
    """Turn an error about something that was ``lost`` into one that says so; any other stays as it is."""
    try:
        yield
    except (AttributeError, TypeError, LookupError) as error:
        if (found := reading(error)) is not None:
            try:
                found.check(lost)
            except ContractError as told:
                raise told from error
        raise


OURS = {*vars(Held()), "options", "notes"}


def _plain(strategy: Strategy) -> Mapping[str, Any]:
    return {name: value for name, value in vars(strategy).items() if name not in OURS}


def _strategy_of(frame: FrameType) -> Strategy | None:
    first = frame.f_code.co_varnames[:1] if frame.f_code.co_argcount else ()
    found = frame.f_locals.get(first[0]) if first else None
    return found if isinstance(found, Strategy) else None


def _names(code: CodeType) -> list[str]:
    """Return the names that a function uses, its comprehensions included."""
    inner = [part for part in code.co_consts if isinstance(part, CodeType)]
    return [*code.co_names, *(name for part in inner for name in _names(part))]


def _is_array(value: object) -> bool:
    return (isinstance(value, Tensor) and value.numel() > 0) or (isinstance(value, np.ndarray) and value.size > 0)


def _is_empty(value: object) -> bool:
    return isinstance(value, list | dict | tuple | set) and not value


def _mark(value: Any) -> tuple[Any, ...]:
    """Return what tells a value from another that is set, or that it is changed into, later."""
    if isinstance(value, Tensor):
        return value, None if value.is_inference() else value._version
    if isinstance(value, np.ndarray):
        return value, None if value.dtype.hasobject else zlib.crc32(value.tobytes())
    if isinstance(value, dict):
        return value, *value.keys(), *value.values()
    if isinstance(value, list | set):
        return value, *value
    return (value,)


def _same(before: tuple[Any, ...], now: tuple[Any, ...]) -> bool:
    plain = (int, float, str)
    return len(before) == len(now) and all(
        a is b or (type(a) is type(b) and isinstance(a, plain) and a == b) for a, b in zip(before, now, strict=True)
    )
