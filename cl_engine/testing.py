"""Checks for the author of a strategy: does it keep the contract, and if not, where."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.errors import EngineError
from cl_engine.kinds.problems import Problems, one_line
from cl_engine.kinds.validation import validate
from cl_engine.memory.ledger import ledger
from cl_engine.memory.state import STRUCTURE, HeldState, hold
from cl_engine.randomness import isolated, torch_generator
from cl_engine.running.learning import Learned, learn
from cl_engine.running.lost import unregistered
from cl_engine.scenarios.delivery import Delivery
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.rebuilding import Rebuilder, begin
from cl_engine.strategies.strategy import Strategy
from cl_engine.terms.task import Task
from cl_engine.terms.terms import Terms
from cl_engine.terms.training import Training

Kind = Literal["offline", "online", "hidden-boundaries", "features", "repeating-classes"]
KINDS: tuple[Kind, ...] = ("offline", "online", "hidden-boundaries", "features", "repeating-classes")
MICRO_BATCH = 5


class BrokenContract(AssertionError):
    """A strategy breaks its contract; the message lists every breach found."""


def check_strategy(
    strategy: type[Strategy] | Strategy, on: Sequence[Kind] = ("offline", "online"), **options: Any
) -> None:
    """Check a strategy on tiny streams of generated samples.

    It is checked that ``begin`` is deterministic and needs no data; that everything held is a tensor of
    ``state_dict()``; that a rebuilt strategy predicts the same (what hides in attributes does not survive); that
    the same seed gives the same bits; that ``predict`` returns one finite score per seen class, does not depend on
    how samples are batched, and changes nothing that is held; that a plan made without training has the very
    shapes that training ends with; and that global random state is left alone.

    Args:
        strategy: the class, or an object whose options are taken over.
        on: which streams: ``offline`` images in three experiences of new classes; the same ``online`` in
            micro-batches; with ``hidden-boundaries`` (online, ``task.classes`` raises); ``features`` instead of
            images; ``repeating-classes``, where classes return in later experiences.
        options: keyword arguments for its ``__init__``.

    Raises:
        BrokenContract: with one line per breach, each with the stream on which it showed.

    >>> from cl_engine.strategies.prototypes.ncm import NCM
    >>> check_strategy(NCM, on=("offline", "hidden-boundaries", "features"))
    """
    if isinstance(strategy, Strategy):
        strategy, options = type(strategy), {**strategy.options, **options}
    unknown = [kind for kind in on if kind not in KINDS]
    if unknown or not on:
        raise ValueError(f"got on={on!r}; allowed: one or more of {', '.join(KINDS)}")
    try:
        resolved = validate(strategy, options)
    except Problems as error:
        raise BrokenContract(f"{strategy.__name__}: {error}") from None
    breaches: dict[str, list[str]] = {}
    for kind in on:
        for check in CHECKS:
            for text in _run(check, Trial(strategy, resolved, kind)):
                breaches.setdefault(text, []).append(kind)
    if breaches:
        lines = [f"- {', '.join(dict.fromkeys(kinds))}: {text}" for text, kinds in breaches.items()]
        raise BrokenContract(f"{strategy.__name__} breaks its contract:\n" + "\n".join(lines))


@dataclass(frozen=True)
class Trial:
    """A strategy on one tiny stream."""

    strategy: type[Strategy]
    options: dict[str, Any]
    kind: Kind

    @property
    def classes(self) -> list[tuple[int, ...]]:
        """The classes of each experience; the last experience of the returning ones brings nothing new."""
        if self.kind == "repeating-classes":
            return [(0, 1), (1, 2, 3), (4,), (0, 4)]
        return [(0, 1), (2, 3), (4,)]

    def rebuilder(self, dry: bool = False) -> Rebuilder:
        """Return a fresh rebuilder."""
        found, seen = [], 0
        for classes in self.classes:
            new = tuple(c for c in classes if c >= seen)
            seen += len(new)
            found.append(Exposure(classes, new, seen))
        terms = Terms(
            tuple(found),
            self.shape,
            Training(epochs=2, batch_size=16),
            seed=3,
            online=self.kind in ("online", "hidden-boundaries"),
            boundaries=self.kind != "hidden-boundaries",
            dry=dry,
        )
        return Rebuilder(self.strategy, self.options, terms)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (24,) if self.kind == "features" else (1, 8, 8)

    def samples(self, index: int, per_class: int = 12) -> Samples:
        """Return the samples of an experience."""
        generator = torch_generator(0, f"check/{index}")
        y = torch.tensor(self.classes[index]).repeat_interleave(per_class)
        noise = torch.randint(0, 64, (len(y), *self.shape), generator=generator)
        x = (noise + 40 * y.view(-1, *[1] * len(self.shape))).clamp(0, 255)
        order = torch.randperm(len(y), generator=generator)
        return Samples((x.float() / 128 - 1 if self.kind == "features" else x.to(torch.uint8))[order], y[order])

    def deliveries(self, index: int) -> list[Samples]:
        """Return the samples of an experience as they are delivered."""
        samples = self.samples(index)
        size = MICRO_BATCH if self.kind in ("online", "hidden-boundaries") else len(samples)
        return [samples[start : start + size].clone() for start in range(0, len(samples), size)]

    def learned(self) -> HeldState:
        """Learn the whole stream; return what is held at the end."""
        return self.outcome().held

    def outcome(self, dry: bool = False) -> Learned:
        """Learn the whole stream; return what the last experience ends with, and the notes of all."""
        rebuilder, held = self.rebuilder(dry), None
        notes: list[str] = []
        for index in range(len(self.classes)):
            samples = self.samples(index)
            stops = torch.tensor([len(part) for part in self.deliveries(index)]).cumsum(0).tolist()
            learned = learn(rebuilder, index, held, samples, Delivery(tuple(stops), frozenset()))
            held, notes = learned.held, [*notes, *learned.notes]
        return learned._replace(notes=notes)

    def teach(self, strategy: Strategy, task: Task, index: int) -> None:
        """Let a live object learn experience ``index``."""
        with isolated(3, f"learn/{index}"):
            for part in self.deliveries(index):
                strategy.learn(task, part)
            strategy.end(task)
        strategy.eval()


def _run(check: Callable[[Trial], Iterator[str]], trial: Trial) -> Iterator[str]:
    try:
        yield from check(trial)
    except EngineError as error:  # it says itself what is wrong
        yield one_line(error)
    except Exception as error:  # whatever a strategy raises is what its author wants to see
        frame = traceback.extract_tb(error.__traceback__)[-1]
        yield f"raises {type(error).__name__}: {one_line(error)} ({frame.filename}, line {frame.lineno})"


def begins_alike(trial: Trial) -> Iterator[str]:
    """Begin twice."""
    last = len(trial.classes)
    first, second = trial.rebuilder().begun(last), trial.rebuilder().begun(last)
    for name in _differing(first.state_dict(), second.state_dict()):
        yield f"begin() is not deterministic: {name} differs between two equal calls"


def survives_rebuilding(trial: Trial) -> Iterator[str]:
    """Learn and rebuild at every boundary."""
    rebuilder, held = trial.rebuilder(), None
    for index in range(len(trial.classes)):
        live, task = rebuilder.rebuilt(index, held), rebuilder.terms.task(index)
        begin(live, task, rebuilder.terms.seed)
        trial.teach(live, task, index)
        held = hold(live, rebuilder.signature(index + 1))
        rebuilt, x = rebuilder.rebuilt(index + 1, held), trial.samples(index).x
        with torch.no_grad():
            same = _close(live.predict(x.clone()), rebuilt.predict(x.clone()))
        if not same:
            yield (
                f"after experience {index + 1} a rebuilt strategy predicts differently: something it needs is not "
                "in state_dict(); declare it with self.hold(name, tensor, kind=...)"
            )
            return


def repeats(trial: Trial) -> Iterator[str]:
    """Learn twice with one seed."""
    for name in _differing(trial.learned().tensors, trial.learned().tensors):
        yield f"the same seed gives different bits in {name}: draw from task.generator(purpose)"


def equals_its_plan(trial: Trial) -> Iterator[str]:
    """Learn once for the sizes alone, with ``task.dry``."""
    without_training = trial.outcome(dry=True)
    if without_training.notes:
        return  # it says itself that its plan is an estimate
    real, planned = trial.learned().entries, without_training.held.entries
    if {e.name: e for e in real} != {e.name: e for e in planned}:
        names = sorted({e.name for e in set(real) ^ set(planned)})
        yield f"what it holds without training (task.dry) has other sizes than after training: {', '.join(names)}"


def predicts(trial: Trial) -> Iterator[str]:
    """Predict."""
    rebuilder, held, x = trial.rebuilder(), trial.learned(), trial.samples(1).x
    last = len(trial.classes)
    strategy = rebuilder.rebuilt(last, held)
    seen = rebuilder.terms.exposures[-1].seen_classes
    with torch.no_grad():
        scores = strategy.predict(x.clone())
        if not isinstance(scores, Tensor) or scores.shape != (len(x), seen):
            found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            yield f"predict() returned {found} for {len(x)} samples, {seen} classes seen; allowed: {(len(x), seen)}"
            return
        wrong = int((~torch.isfinite(scores)).any(1).sum())
        if wrong:
            kind = "NaN" if torch.isnan(scores).any() else "infinite scores"
            yield f"predict() returned {kind} for {wrong} of {len(x)} samples"
        elif not _close(scores, torch.cat([strategy.predict(part.clone()) for part in torch.split(x, 5)])):
            yield "predict() depends on which samples share a batch; is a layer in training mode?"
    for name in _differing(held.tensors, hold(strategy, rebuilder.signature(last)).tensors):
        if name != STRUCTURE:
            yield f"predict() changed {name}, which is held"


def lists_its_state(trial: Trial) -> Iterator[str]:
    """List what is held."""
    rebuilder, held = trial.rebuilder(), trial.learned()
    begun, task = rebuilder.begun(1), rebuilder.terms.task(1)
    begin(begun, task, rebuilder.terms.seed)
    before = {name: value.clone() for name, value in _loose_tensors(begun).items()}
    trial.teach(begun, task, 1)
    for name, value in _loose_tensors(begun).items():
        if name not in before or not _same(before[name], value):
            yield f"self.{name} is a tensor outside state_dict() and will not survive; use self.hold({name!r}, ...)"
    yield from unregistered(begun)
    ledger(rebuilder.rebuilt(len(trial.classes), held))


def carries_nothing(trial: Trial) -> Iterator[str]:
    """Learn on without being rebuilt, which must make no difference."""
    rebuilder = trial.rebuilder()
    live = rebuilder.begun(0)
    for index in range(len(trial.classes)):
        task = rebuilder.terms.task(index)
        begin(live, task, rebuilder.terms.seed)
        trial.teach(live, task, index)
    for name in _differing(dict(live.state_dict()), trial.learned().tensors):
        if name != STRUCTURE:
            yield (
                f"{name} depends on something that learn() kept outside state_dict(); it is gone when the "
                "strategy is rebuilt between experiences"
            )


def _loose_tensors(strategy: Strategy) -> dict[str, Tensor]:
    known = set(strategy.state_dict())
    return {n: v for n, v in vars(strategy).items() if isinstance(v, Tensor) and v.numel() > 1 and n not in known}


def leaves_random_state_alone(trial: Trial) -> Iterator[str]:
    """Learn."""
    before = torch.get_rng_state()
    trial.learned()
    if not torch.equal(before, torch.get_rng_state()):
        yield "torch's global random state changed"


CHECKS: list[Callable[[Trial], Iterator[str]]] = [
    begins_alike,
    survives_rebuilding,
    repeats,
    equals_its_plan,
    predicts,
    lists_its_state,
    carries_nothing,
    leaves_random_state_alone,
]


def _differing(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    same = {n for n in a.keys() & b.keys() if isinstance(a[n], Tensor) and _same(a[n], b[n])}
    return sorted((a.keys() | b.keys()) - same)


def _same(a: Tensor, b: Tensor) -> bool:
    """Compare to the bit, NaN included."""
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return False
    return save({"x": a.detach().contiguous()}) == save({"x": b.detach().contiguous()})


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True))
