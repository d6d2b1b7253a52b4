"""Scores that a margin holds apart."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.losses.arguments import check_labels, check_matrix


def class_separation(scores: Tensor, y: Tensor, old: int, margin: float, hardest: int) -> Tensor:
    """Return the mean of ``max(0, margin - s_y + s_k)`` over samples of old classes and the hardest new classes k.

    LUCIR's inter-class separation, a margin ranking loss (Hou et al., CVPR 2019).  The paper sums over k, the
    authors' code takes the mean, as here.  Samples of new classes, and all of them while there are no old or no new
    ones, add nothing.

    Args:
        scores: ``[B, C]``, cosines.
        y: int64 ``[B]``.
        old: how many classes are old, those below it.
        margin: in units of the scores.
        hardest: how many new classes, those of the highest scores; all where there are no more.

    >>> scores, y = torch.tensor([[0.9, 0.7, 0.1], [0, 0.5, 0.5]]), torch.tensor([0, 2])
    >>> class_separation(scores, y, old=1, margin=0.5, hardest=2)
    tensor(0.1500)
    """
    check_matrix("scores", scores, "[B, C]")
    check_labels(y, *scores.shape)
    if not 0 < old < scores.shape[1]:
        return scores[:, :0].sum()
    rivals = torch.topk(scores[:, old:], min(hardest, scores.shape[1] - old)).values
    missed = (margin - scores.gather(1, y[:, None]) + rivals).clamp(min=0).mean(1)
    rows = y < old
    return (missed * rows).sum() / rows.sum().clamp(min=1)
