"""Checks for the author of a strategy: does it keep the contract, and if not, where."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.kinds.problems import Problems, one_line
from cl_engine.kinds.validation import validate
from cl_engine.memory.ledger import ledger
from cl_engine.randomness import isolated, torch_generator
from cl_engine.running.learning import STRUCTURE, HeldState, Recipe, begin, declared_names, hold, learn, rebuild
from cl_engine.strategies.strategy import Strategy
from cl_engine.terms.task import Exposure
from cl_engine.training.loop import Training

SHAPE = (1, 8, 8)
# Two classes; then one of them again with two new ones; then a lone new class; then nothing new.
CLASSES = [(0, 1), (1, 2, 3), (4,), (0, 4)]


class BrokenContract(AssertionError):
    """A strategy breaks its contract; the message lists every breach found."""


def check_strategy(strategy: type[Strategy] | Strategy, **options: Any) -> None:
    """Check a strategy on a tiny stream of generated images whose classes return.

    It is checked that ``begin`` is deterministic and needs no data; that everything held is a tensor of
    ``state_dict()``; that a rebuilt strategy predicts the same (what hides in attributes does not survive); that
    the same seed gives the same bits; that ``predict`` returns one finite score per seen class, does not depend on
    how samples are batched, and changes nothing that is held; and that global random state is left alone.

    Args:
        strategy: the class, or an object whose options are taken over.
        options: keyword arguments for its ``__init__``.

    Raises:
        BrokenContract: with one line per breach.

    >>> from cl_engine.strategies.prototypes.ncm import NCM
    >>> check_strategy(NCM)
    """
    if isinstance(strategy, Strategy):
        strategy, options = type(strategy), {**strategy.options, **options}
    try:
        recipe = _recipe(strategy, validate(strategy, options))
    except Problems as error:
        raise BrokenContract(f"{strategy.__name__}: {error}") from None
    breaches = dict.fromkeys(text for check in CHECKS for text in _run(check, recipe))
    if breaches:
        raise BrokenContract(f"{strategy.__name__} breaks its contract:\n" + "\n".join(f"- {b}" for b in breaches))


def _run(check: Callable[[Recipe], Iterator[str]], recipe: Recipe) -> Iterator[str]:
    try:
        yield from check(recipe)
    except Exception as error:  # whatever a strategy raises is what its author wants to see
        frame = traceback.extract_tb(error.__traceback__)[-1]
        yield f"raises {type(error).__name__}: {one_line(error)} ({frame.filename}, line {frame.lineno})"


def _recipe(strategy: type[Strategy], options: dict[str, Any]) -> Recipe:
    exposures, seen = [], 0
    for classes in CLASSES:
        new = tuple(c for c in classes if c >= seen)
        seen += len(new)
        exposures.append(Exposure(classes, new, seen))
    training = Training(epochs=2, batch_size=16)
    return Recipe(strategy, options, exposures, SHAPE, training, torch.device("cpu"), seed=3)


def _samples(index: int, per_class: int = 12) -> Samples:
    generator = torch_generator(0, f"check/{index}")
    y = torch.tensor(CLASSES[index]).repeat_interleave(per_class)
    noise = torch.randint(0, 64, (len(y), *SHAPE), generator=generator)
    x = (noise + 40 * y[:, None, None, None]).clamp(0, 255).to(torch.uint8)
    order = torch.randperm(len(y), generator=generator)
    return Samples(x[order], y[order])


def _learn_all(recipe: Recipe) -> HeldState:
    held = None
    for index in range(len(CLASSES)):
        held = learn(recipe, index, held, _samples(index)).held
    assert held is not None
    return held


def begins_alike(recipe: Recipe) -> Iterator[str]:
    """Begin twice."""
    first, second = rebuild(recipe, len(CLASSES)), rebuild(recipe, len(CLASSES))
    for name in _differing(first.state_dict(), second.state_dict()):
        yield f"begin() is not deterministic: {name} differs between two equal calls"


def survives_rebuilding(recipe: Recipe) -> Iterator[str]:
    """Learn and rebuild at every boundary."""
    held: HeldState | None = None
    for index in range(len(CLASSES)):
        live = rebuild(recipe, index, held)
        task, samples = recipe.task(index), _samples(index)
        begin(live, task)
        declared = declared_names(live)
        live.learn(task, samples)
        live.eval()
        held = _as_saved(hold(live, declared))
        rebuilt = rebuild(recipe, index + 1, held)
        with torch.no_grad():
            same = _close(live.predict(samples.x), rebuilt.predict(samples.x))
        if not same:
            yield (
                f"after experience {index + 1} a rebuilt strategy predicts differently: something it needs is not "
                "in state_dict(); declare it with self.hold(name, tensor, kind=...)"
            )
            return


def repeats(recipe: Recipe) -> Iterator[str]:
    """Learn twice with one seed."""
    for name in _differing(_learn_all(recipe).tensors, _learn_all(recipe).tensors):
        yield f"the same seed gives different bits in {name}: draw from task.generator(purpose)"


def predicts(recipe: Recipe) -> Iterator[str]:
    """Predict."""
    held, x = _learn_all(recipe), _samples(1).x
    strategy = rebuild(recipe, len(CLASSES), held)
    seen = recipe.exposures[-1].seen_classes
    with torch.no_grad():
        scores = strategy.predict(x)
        if not isinstance(scores, Tensor) or scores.shape != (len(x), seen):
            found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            yield f"predict() returned {found} for {len(x)} samples, {seen} classes seen; allowed: {(len(x), seen)}"
            return
        if not torch.isfinite(scores).all():
            yield "predict() returned scores that are not finite"
        if not _close(scores, torch.cat([strategy.predict(part) for part in torch.split(x, 5)])):
            yield "predict() depends on which samples share a batch; is a layer in training mode?"
    for name in _differing(held.tensors, hold(strategy, frozenset(strategy.state_dict())).tensors):
        if name != STRUCTURE:
            yield f"predict() changed {name}, which is held"


def lists_its_state(recipe: Recipe) -> Iterator[str]:
    """List what is held."""
    held = _learn_all(recipe)
    begun, task = rebuild(recipe, 1), recipe.task(1)
    begin(begun, task)
    before = {name: value.clone() for name, value in _loose_tensors(begun).items()}
    begun.learn(task, _samples(1))
    for name, value in _loose_tensors(begun).items():
        if name not in before or not _same(before[name], value):
            yield f"self.{name} is a tensor outside state_dict() and will not survive; use self.hold({name!r}, ...)"
    ledger(rebuild(recipe, len(CLASSES), held))


def carries_nothing(recipe: Recipe) -> Iterator[str]:
    """Learn on without being rebuilt, which must make no difference."""
    live = rebuild(recipe, 0)
    for index in range(len(CLASSES)):
        task = recipe.task(index)
        begin(live, task)
        with isolated(recipe.seed, f"learn/{index}"):
            live.learn(task, _samples(index))
        live.eval()
    for name in _differing(dict(live.state_dict()), _learn_all(recipe).tensors):
        if name != STRUCTURE:
            yield (
                f"{name} depends on something that learn() kept outside state_dict(); it is gone when the "
                "strategy is rebuilt between experiences"
            )


def _loose_tensors(strategy: Strategy) -> dict[str, Tensor]:
    known = set(strategy.state_dict())
    return {n: v for n, v in vars(strategy).items() if isinstance(v, Tensor) and v.numel() > 1 and n not in known}


def leaves_random_state_alone(recipe: Recipe) -> Iterator[str]:
    """Learn."""
    before = torch.get_rng_state()
    _learn_all(recipe)
    if not torch.equal(before, torch.get_rng_state()):
        yield "torch's global random state changed"


CHECKS: list[Callable[[Recipe], Iterator[str]]] = [
    begins_alike,
    survives_rebuilding,
    repeats,
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
    return a.dtype == b.dtype and save({"x": a.contiguous()}) == save({"x": b.contiguous()})


def _as_saved(held: HeldState) -> HeldState:
    """Send what is held through the format of a checkpoint."""
    return held._replace(tensors=load(save(held.tensors)))


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.allclose(a, b, rtol=1e-4, atol=1e-5))
