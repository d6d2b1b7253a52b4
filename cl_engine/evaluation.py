"""Evaluation: correct predictions per class, on the test samples of the classes exposed so far."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.memory.ledger import MemoryContractError
from cl_engine.randomness import isolated
from cl_engine.strategies.strategy import Strategy

BATCH = 1024


@torch.no_grad()
def correct_per_class(strategy: Strategy, test: Samples, seen_classes: int, device: torch.device) -> Tensor:
    """Return the number of correctly predicted test samples of each seen class, int64 ``[seen_classes]``.

    Args:
        strategy: a rebuilt one; it predicts in evaluation mode and is thrown away afterwards.
        test: test samples of seen classes only, with class ids.
        seen_classes: number of classes exposed so far.
        device: where the strategy lives.

    Raises:
        ContractError: the scores are not ``[B, seen_classes]``.
    """
    strategy.eval()
    correct = torch.zeros(seen_classes, dtype=torch.int64, device=device)
    with isolated(0, "predict"):
        for batch in test.batches(BATCH):
            x, y = batch.x.to(device), batch.y.to(device)
            scores = strategy.predict(x)
            if not isinstance(scores, Tensor) or scores.shape != (len(x), seen_classes):
                found = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
                raise ContractError(
                    f"{type(strategy).__name__}.predict() returned {found} for {len(x)} samples; "
                    f"allowed: scores [{len(x)}, {seen_classes}], one column per class seen"
                )
            # A score that is no number wins no comparison.
            predicted = scores.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf).argmax(1)
            correct += torch.bincount(y[predicted == y], minlength=seen_classes)
    return correct.cpu()


class ContractError(MemoryContractError):
    """A strategy breaks its contract in another way than by what it holds."""
