"""What training does to the blocks of a network: how large their gradients are, and how far their weights move.

It only looks: no random number is drawn, and nothing of what is trained is changed or kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cl_engine.models.anatomy import blocks_of, learning_blocks

GRADIENTS, SHIFT = "gradient-norms", "weight-shift"
WAITING = 512  # steps whose norms are put together at once


class Observer:
    """Looks at one experience: give it the strategy before and after, and every step's gradients.

    Args:
        analyses: of ``gradient-norms`` and ``weight-shift`` those that are asked for.
        strategy: as it has begun the experience.

    Attributes:
        seconds: what looking took; on a GPU what it queued is not in it.
    """

    def __init__(self, analyses: Collection[str], strategy: nn.Module) -> None:
        begun = time.perf_counter()
        self.analyses = analyses
        blocks = learning_blocks(strategy)
        self.gradients = Gradients(lambda: learning_blocks(strategy)) if GRADIENTS in analyses else None
        self._before = {
            name: [p.detach().clone() for p in parameters]
            for name, parameters in (blocks if SHIFT in analyses else {}).items()
        }
        self.seconds = time.perf_counter() - begun

    def step(self, parameters: Sequence[nn.Parameter]) -> None:
        """Look at the gradients of a step, before it is taken; ``parameters`` are those that it moves."""
        begun = time.perf_counter()
        if self.gradients is not None:
            self.gradients.add(parameters)
        self.seconds += time.perf_counter() - begun

    def found(self, strategy: nn.Module) -> dict[str, Any]:
        """Return what was found by name of the analysis and of the block, plain data.

        Args:
            strategy: as it ends the experience.
        """
        begun, found = time.perf_counter(), dict[str, Any]()
        if self.gradients is not None:
            found[GRADIENTS] = self.gradients.mean()
        if SHIFT in self.analyses:
            after = {name: [*block.parameters()] for name, block in blocks_of(strategy).items()}
            found[SHIFT] = {name: shift(old, after.get(name, [])) for name, old in self._before.items()}
        self.seconds += time.perf_counter() - begun
        return found


class Gradients:
    """The mean over steps of the norm of each block's gradient.

    A step counts for the blocks that it moves: one of a second stage that trains a head alone counts for none.
    Norms are those of the loss: before clipping, and before a strategy changes the gradient.

    Args:
        blocks: returns the parameters of each block; asked again when others are trained, as a strategy may train
            a network that it has just made.

    >>> layer = nn.Linear(2, 1)
    >>> layer.weight.grad, layer.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    >>> seen = Gradients(lambda: {"only": [*layer.parameters()]})
    >>> seen.add([*layer.parameters()])
    >>> seen.mean()
    {'only': {'norm': 5.0, 'steps': 1}}
    """

    def __init__(self, blocks: Callable[[], dict[str, list[nn.Parameter]]]) -> None:
        self._blocks, self.names = blocks, [*blocks()]
        self._sums, self._steps = [0.0] * len(self.names), [0] * len(self.names)
        self._places: tuple[int, ...] = ()
        self._waiting: list[Tensor] = []
        self._known: dict[int, tuple[Sequence[nn.Parameter], list[tuple[int, nn.Parameter]]]] = {}

    def add(self, parameters: Sequence[nn.Parameter]) -> None:
        """Look at the gradients of the parameters that a step moves."""
        if id(parameters) not in self._known:
            self._known[id(parameters)] = parameters, self._in_blocks(parameters)
        there = [(k, p.grad) for k, p in self._known[id(parameters)][1] if p.grad is not None]
        if not there:
            return
        places = tuple(k for k, _ in there)
        if places != self._places or len(self._waiting) == WAITING:
            self._put_together()
            self._places = places
        self._waiting.append(torch.stack(torch._foreach_norm([g for _, g in there])))

    def mean(self) -> dict[str, dict[str, float | int | None]]:
        """Return the mean norm of each block, and of how many steps; None where it is not finite or no step moved it."""
        self._put_together()
        return {
            name: {"norm": total / steps if steps and math.isfinite(total) else None, "steps": steps}
            for name, total, steps in zip(self.names, self._sums, self._steps, strict=True)
        }

    def _in_blocks(self, parameters: Sequence[nn.Parameter]) -> list[tuple[int, nn.Parameter]]:
        """Return those of the parameters that belong to a block, each with the block's place."""
        places = {name: k for k, name in enumerate(self.names)}
        known = {id(p): places[name] for name, own in self._blocks().items() if name in places for p in own}
        return [(known[id(p)], p) for p in parameters if id(p) in known]

    def _put_together(self) -> None:
        """Add up what is waiting; one synchronisation for many steps."""
        if not self._waiting:
            return
        squares = torch.stack(self._waiting).cpu().double().square()
        places = torch.tensor(self._places)
        whole = squares.new_zeros(len(squares), len(self.names)).index_add_(1, places, squares)
        sums = whole.sqrt().sum(0).tolist()
        for k in {*self._places}:
            self._sums[k] += sums[k]
            self._steps[k] += len(squares)
        self._waiting.clear()


def shift(before: Sequence[Tensor], after: Sequence[Tensor]) -> dict[str, float | None]:
    """Return how far weights moved: ``|after - before| / |before|``, and the mean square of ``after - before``.

    Both are None where the block is gone, has other shapes or is not finite; the first one too where all weights
    were 0.

    >>> shift([torch.tensor([3.0, 4.0])], [torch.tensor([3.0, 5.0])])
    {'relative': 0.2, 'mse': 0.5}
    """
    if [t.shape for t in before] != [t.shape for t in after]:
        return {"relative": None, "mse": None}
    pairs = [(a.detach().double(), b.detach().double().to(a.device)) for a, b in zip(before, after, strict=True)]
    moved = sum(float((b - a).square().sum()) for a, b in pairs)
    size = sum(float(a.square().sum()) for a, _ in pairs)
    if not math.isfinite(moved):
        return {"relative": None, "mse": None}
    return {"relative": (moved / size) ** 0.5 if size else None, "mse": moved / sum(a.numel() for a, _ in pairs)}
