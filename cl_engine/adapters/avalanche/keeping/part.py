"""What one attribute of a strategy of Avalanche keeps between experiences, as held tensors."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cl_engine.memory.held import Held

if TYPE_CHECKING:
    from cl_engine.adapters.avalanche.live import Live


class Part(Held):
    """Something that is kept: taken off a living strategy, and given to the next one.

    Everything that it may come to hold it declares when it is made, mostly with no row, so that names and shapes
    are no news.
    """

    def take(self, live: Live) -> None:
        """Hold what the living strategy has."""
        raise NotImplementedError

    def give(self, live: Live) -> None:
        """Put into a new living strategy what is held; called where an earlier experience was learned."""
        raise NotImplementedError


class Classes(Part):
    """A set of classes, held as a mask over the outputs."""

    classes: Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.hold("classes", torch.zeros(outputs, dtype=torch.bool))

    def put(self, labels: Iterable[int]) -> None:
        """Hold these and no others."""
        self.classes = torch.zeros_like(self.classes)
        self.classes[[*labels]] = True

    def labels(self) -> set[int]:
        """Return those that are held."""
        return {*self.classes.nonzero().flatten().tolist()}


class Memory(Part):
    """Exemplars, as many as ``mem_size`` or the budget says.

    Attributes:
        column_kinds: kinds of what is held beside each exemplar and its label.
    """

    column_kinds: dict[str, int]

    @property
    def samples(self) -> int:
        """How many are held."""
        raise NotImplementedError

    def resize(self, live: Live, size: int) -> None:
        """Let the living strategy have at most ``size`` from now on."""
        raise NotImplementedError


def at(live: Live, path: str) -> Any:
    """Return what a dotted path from a living strategy leads to."""
    return attrgetter(path)(live)


def key(*names: object) -> str:
    """Return the name of a held tensor that belongs to a parameter."""
    return "/".join(str(name).replace(".", "/") for name in names)


def rows(shape: Iterable[int]) -> tuple[int, ...]:
    """Return a shape without a row, that of something that does not exist yet."""
    _, *rest = shape
    return 0, *rest


def first_rows(tensor: Tensor) -> Tensor:
    """Return an empty tensor that a tensor of any number of rows may take the place of."""
    return tensor.new_empty(rows(tensor.shape))
