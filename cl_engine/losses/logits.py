"""Scores that keep to what an old model answered."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.losses.arguments import check_positive, check_same_shape, described, mean_of


def distillation(new: Tensor, old: Tensor, temperature: float = 2.0) -> Tensor:
    """Return the cross-entropy of softened predictions: the mean over B of ``-sum_c q_c log p_c``.

    ``q = softmax(old / T)``, ``p = softmax(new / T)`` (Hinton et al., 2015; LwF, Li and Hoiem, ECCV 2016).  No
    factor T squared: multiply by it where a method has one.  At its minimum, new = old, it is the entropy of q.
    A column that is -inf in both is left out.

    Args:
        new: logits ``[B, C]``; where the new model has more classes, its old columns.
        old: logits ``[B, C]`` of the old model, a constant.
        temperature: T, above 0.

    >>> distillation(torch.zeros(3, 4), torch.zeros(3, 4))  # log 4
    tensor(1.3863)
    """
    check_same_shape(new, old, "[B, C]")
    check_positive("temperature", temperature)
    q = (old.detach() / temperature).softmax(1)
    log_p = (new / temperature).log_softmax(1)
    return mean_of(-(q * log_p.masked_fill(q == 0, 0)).sum(1))  # 0 log 0 is 0, not NaN


def balanced_distillation(new: Tensor, old: Tensor, weights: Tensor, temperature: float = 2.0) -> Tensor:
    """Return :func:`distillation` from ``q_c`` proportional to ``w_c softmax(old / T)_c``: more of rare classes.

    FOSTER's balanced distillation (Wang et al., ECCV 2022), by which a teacher that has seen few
    samples of some classes compresses into a student.  Equal weights give the plain distillation.

    Args:
        new: logits ``[B, C]``.
        old: logits ``[B, C]`` of the teacher, a constant.
        weights: ``[C]``, each above 0, such as :func:`effective_number_weights`; only their ratios matter.
        temperature: T, above 0.

    >>> balanced_distillation(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([3.0, 1.0]))  # log 2
    tensor(0.6931)
    """
    check_same_shape(new, old, "[B, C]")
    if weights.shape != new.shape[1:] or bool((weights <= 0).any()):
        raise ValueError(f"weights is {described(weights)}; allowed: [{new.shape[1]}], each above 0")
    return distillation(new, old + temperature * weights.to(old).log(), temperature)


def logit_matching(new: Tensor, stored: Tensor, width: Tensor) -> Tensor:
    """Return the mean over B of the mean square of ``new - stored`` over the columns that a sample was stored with.

    Dark experience replay (Buzzega et al., NeurIPS 2020).  The paper writes the squared L2 norm; its released code
    takes the mean over all outputs, which this equals where all of them were stored.  Columns of classes that came
    after a sample was stored have no part in it.

    Args:
        new: logits ``[B, C]``.
        stored: ``[B, C]``, a constant; what stands in later columns is not read.
        width: int ``[B]``, how many columns of a sample were stored, 1 to C.

    >>> logit_matching(torch.ones(2, 3), torch.zeros(2, 3), torch.tensor([1, 3]))
    tensor(1.)
    """
    check_same_shape(new, stored, "[B, C]")
    if width.shape != new.shape[:1] or bool(((width < 1) | (width > new.shape[1])).any()):
        raise ValueError(f"width is {described(width)}; allowed: [{len(new)}], each 1 to {new.shape[1]}")
    known = torch.arange(new.shape[1], device=new.device) < width[:, None]
    squares = (new - stored.detach()).masked_fill(~known, 0).square()
    return mean_of(squares.sum(1) / width)
