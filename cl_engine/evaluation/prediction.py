"""Scores of a strategy for test samples; no label comes near it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from cl_engine.data.samples import Inputs
from cl_engine.evaluation.constant import watched
from cl_engine.memory.ledger import MemoryContractError
from cl_engine.randomness import isolated
from cl_engine.strategies.strategy import Strategy

BATCH = 1024


class ContractError(MemoryContractError):
    """A strategy breaks its contract in another way than by what it holds."""


@torch.no_grad()
def predicted(
    strategy: Strategy, x: Inputs, columns: int, device: torch.device, experience: int
) -> Iterator[Tensor]:
    """Yield the scores ``[B, columns]`` of test samples, batch by batch, on ``device``.

    At the end the strategy's notes say so where most features of its network are constant.

    Args:
        strategy: a rebuilt one, which is thrown away afterwards.
        x: samples ``[N, ...]``; the strategy gets copies.
        columns: classes that the strategy has grown for.
        device: where the strategy lives.
        experience: the one that goes on or has just ended, for what an error says.

    Raises:
        ContractError: the strategy does not return one score per sample and class, or no number.
    """
    name = type(strategy).__name__
    strategy.eval()
    with isolated(0, "predict"), watched(strategy) as remarks:
        for part in x.split(BATCH):
            yield checked(name, strategy.predict(part.to(device, copy=True)), len(part), columns, experience)
    for remark in remarks:
        strategy.note(remark)


def checked(name: str, scores: object, rows: int, columns: int, experience: int) -> Tensor:
    """Return scores ``[rows, columns]``, minus infinity as the lowest number.

    Raises:
        ContractError: they are no such scores, or some are NaN; ``name`` is whose they are.
    """
    if not isinstance(scores, Tensor) or scores.shape != (rows, columns):
        found = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ContractError(
            f"{name}.predict() returned {found} for {rows} samples; "
            f"allowed: scores [{rows}, {columns}], one column per class seen"
        )
    scores = scores if scores.is_floating_point() else scores.double()
    if not scores.numel():
        return scores
    least = float(scores.min())  # NaN where any score is; one pass over what is mostly all numbers
    if math.isnan(least):
        wrong = f"{int(scores.isnan().sum()):,} of {scores.numel():,} scores"
        raise ContractError(
            f"{name}.predict() returned NaN in {wrong}, evaluated after experience {experience + 1}; allowed: "
            "numbers, infinite ones too; likely causes: training diverged, or a division by zero, such as the mean "
            "of a class without samples"
        )
    lowest = torch.finfo(scores.dtype).min  # above what is masked out
    return scores.clamp(min=lowest) if least < lowest else scores
