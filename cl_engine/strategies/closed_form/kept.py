"""Features that are kept one by one, of which some are to be taken out again."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.errors import InputError


def others(kept: Tensor, labels: Tensor, gone: Tensor, gone_labels: Tensor) -> Tensor:
    """Return which of the kept rows stay, bool ``[N]``, when rows equal to each of ``gone`` are taken out.

    Args:
        kept: features ``[N, D]``.
        labels: their classes ``[N]``.
        gone: features ``[M, D]``; of rows that are equal as many go as are asked for, the last ones.
        gone_labels: their classes ``[M]``.

    Raises:
        InputError: a row is not there so often.

    >>> kept = torch.tensor([[1.0], [2.0], [1.0]])
    >>> others(kept, torch.tensor([0, 0, 0]), kept[:1], torch.tensor([0]))
    tensor([ True,  True, False])
    """
    rows = torch.cat([torch.cat([kept, gone]), torch.cat([labels, gone_labels])[:, None].to(kept.dtype)], dim=1)
    _, kinds = torch.unique(rows, dim=0, return_inverse=True)
    have, take = kinds[: len(kept)], kinds[len(kept) :]
    number = int(kinds.max()) + 1 if len(kinds) else 0
    present, wanted = torch.bincount(have, minlength=number), torch.bincount(take, minlength=number)
    if bool((wanted > present).any()):
        raise InputError("features are taken out that are not kept; allowed: those of samples that were learned")
    order = torch.argsort(have, stable=True)
    starts = (present.cumsum(0) - present)[have[order]]
    rank = torch.empty_like(have)
    rank[order] = torch.arange(len(have), device=have.device) - starts  # among equal rows
    return rank < (present - wanted)[have]
