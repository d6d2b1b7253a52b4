"""Scores of a strategy for test samples; no label comes near it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from cl_engine.memory.ledger import MemoryContractError
from cl_engine.randomness import isolated
from cl_engine.strategies.strategy import Strategy

BATCH = 1024


class ContractError(MemoryContractError):
    """A strategy breaks its contract in another way than by what it holds."""


@torch.no_grad()
def predicted(strategy: Strategy, x: Tensor, columns: int, device: torch.device) -> Iterator[Tensor]:
    """Yield the scores ``[B, columns]`` of test samples, batch by batch, on ``device``.

    Args:
        strategy: a rebuilt one, which is thrown away afterwards.
        x: samples ``[N, ...]``; the strategy gets copies.
        columns: classes that the strategy has grown for.
        device: where the strategy lives.

    Raises:
        ContractError: the strategy does not return one score per sample and class.
    """
    strategy.eval()
    with isolated(0, "predict"):
        for part in torch.split(x, BATCH):
            yield checked(type(strategy).__name__, strategy.predict(part.to(device, copy=True)), len(part), columns)


def checked(name: str, scores: object, rows: int, columns: int) -> Tensor:
    """Return scores ``[rows, columns]`` in which what is no number wins no comparison.

    Raises:
        ContractError: they are no such scores; ``name`` is whose they are.
    """
    if not isinstance(scores, Tensor) or scores.shape != (rows, columns):
        found = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ContractError(
            f"{name}.predict() returned {found} for {rows} samples; "
            f"allowed: scores [{rows}, {columns}], one column per class seen"
        )
    scores = scores if scores.is_floating_point() else scores.double()
    lowest = torch.finfo(scores.dtype).min  # above what is masked out
    return scores.nan_to_num(nan=lowest, posinf=torch.inf, neginf=lowest)
