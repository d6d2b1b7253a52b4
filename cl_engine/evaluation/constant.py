"""Features that tell nothing: units of a trained network that have died."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from cl_engine.models.backbone import Backbone

MOST = 0.5  # share of constant features from which on it is worth saying
FEW = 10  # test samples, such as those of a first class, that a healthy feature may be silent for


class Range:
    """The lowest and the highest value of each feature over all batches.

    >>> seen = Range()
    >>> seen.add(torch.tensor([[0.0, 1], [0, 2]]))
    >>> seen.add(torch.tensor([[0.0, 3]]))
    >>> seen.constant
    1
    """

    def __init__(self) -> None:
        self.rows, self.lowest, self.highest = 0, torch.empty(0), torch.empty(0)

    def add(self, features: Tensor) -> None:
        """Look at a batch of features ``[B, D]``."""
        if not len(features):
            return
        lowest, highest = features.aminmax(dim=0)
        if self.rows and lowest.shape == self.lowest.shape:
            lowest, highest = lowest.minimum(self.lowest), highest.maximum(self.highest)
        self.rows, self.lowest, self.highest = self.rows + len(features), lowest, highest

    @property
    def constant(self) -> int:
        """How many features had one value throughout; 0 before there are two rows."""
        return int((self.lowest == self.highest).sum()) if self.rows > 1 else 0


@contextlib.contextmanager
def watched(strategy: nn.Module) -> Iterator[list[str]]:
    """Look at the features that trained backbones make inside the block.

    Yields:
        A list that says, once the block has ended, in which of them more than half of the features never varied;
        nothing of fewer than :data:`FEW` samples.
    """
    said: list[str] = []
    ranges: dict[Backbone, Range] = {}
    hooks = []
    for module in strategy.modules():
        if isinstance(module, Backbone) and any(p.requires_grad for p in module.parameters()):
            ranges[module] = Range()
            hooks.append(module.register_forward_hook(lambda made, _, out: _look(ranges[made], out)))
    try:
        yield said
    finally:
        for hook in hooks:
            hook.remove()
    for seen in ranges.values():
        if seen.rows >= FEW and seen.constant > MOST * len(seen.lowest):
            said.append(
                f"{seen.constant} of the network's {len(seen.lowest)} features are the same for every test sample: "
                "most of its units have died; a smaller training.lr, training.clip or training.warmup may help"
            )


def _look(seen: Range, made: Any) -> None:
    if isinstance(made, Tensor) and made.ndim == 2:
        seen.add(made.detach())
