"""Samples against each other: positives near, the others far."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.losses.arguments import (
    check_choice,
    check_labels,
    check_matrix,
    check_positive,
    check_same_shape,
    check_same_width,
    described,
    mean_of,
)


def supervised_contrastive(z: Tensor, y: Tensor, temperature: float, anchors: Tensor | None = None) -> Tensor:
    """Return the mean over anchors i of ``-1/|P(i)| sum_{p in P(i)} log softmax_{a != i}(cos(z_i, z_a) / T)_p``.

    Supervised contrastive loss (Khosla et al., NeurIPS 2020, L_out, the sum outside the logarithm); P(i) are
    the other rows of i's class.  Released code multiplies it by T / 0.07, PRD's and Co2L's too; PRD's paper
    sums over anchors.  A row without another of its class, or all alone, counts as an anchor of loss 0.

    Args:
        z: ``[N, D]``, all views of all samples, normalised in here.
        y: int64 ``[N]``, a label for each row.
        temperature: T, above 0.
        anchors: bool ``[N]``; the others are positives and negatives only, and count as anchors of loss 0, as in
            Co2L's code (Cha et al., ICCV 2021, asymmetric): the mean stays one over N.  None: all rows.

    >>> z = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    >>> supervised_contrastive(z, torch.tensor([0, 0, 1, 1]), temperature=1.0)  # log((e + 2) / e)
    tensor(0.5514)
    """
    check_matrix("z", z, "[N, D]")
    check_labels(y, len(z))
    check_positive("temperature", temperature)
    z = F.normalize(z)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    similar = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    positive = (y[:, None] == y) & ~itself
    if anchors is not None:
        if anchors.shape != y.shape or anchors.dtype != torch.bool:
            raise ValueError(f"anchors is {described(anchors)}; allowed: bool [{len(y)}], or None")
        positive = positive & anchors[:, None]
    log_p = similar.log_softmax(1).masked_fill(~positive, 0)  # a lone row's NaN and its gradient end in masks
    return mean_of(-log_p.sum(1) / positive.sum(1).clamp(min=1))


def asymmetric_contrastive(
    z: Tensor, y: Tensor, candidates: Tensor, candidates_y: Tensor, temperature: float
) -> Tensor:
    """Return the mean over anchors i of ``-1/|P(i)| sum_{p in P(i)} log softmax_c(cos(z_i, c) / T)_p``.

    Asymmetric metric learning (ER-AML; Caccia et al., ICLR 2022): the softmax runs over all candidates, P(i) are
    those of i's class.  Unlike :func:`supervised_contrastive` anchors are no contrasts of each other, so incoming
    samples move away from no other class than the candidates'.  Released code multiplies it by T / 0.07.  An anchor
    without a candidate of its class is left out of the mean.

    Args:
        z: ``[B, D]``, the anchors, normalised in here.
        y: int64 ``[B]``.
        candidates: ``[N, D]``, normalised in here.
        candidates_y: int64 ``[N]``.
        temperature: T, above 0.

    >>> z, candidates = torch.tensor([[2.0, 0]]), torch.tensor([[1.0, 0], [0, 1]])
    >>> y = torch.tensor([0, 1])
    >>> asymmetric_contrastive(z, y[:1], candidates, y, temperature=1.0)  # log((e + 1) / e)
    tensor(0.3133)
    """
    check_matrix("z", z, "[B, D]")
    check_matrix("candidates", candidates, "[N, D]")
    check_same_width("z", z, "candidates", candidates)
    check_labels(y, len(z))
    check_labels(candidates_y, len(candidates))
    check_positive("temperature", temperature)
    positive = y[:, None] == candidates_y
    log_p = (F.normalize(z) @ F.normalize(candidates).T / temperature).log_softmax(1)
    count = positive.sum(1)
    losses = -log_p.masked_fill(~positive, 0).sum(1) / count.clamp(min=1)
    return losses.sum() / (count > 0).sum().clamp(min=1)


def higher_order_compatibility(
    new: Tensor,
    old: Tensor,
    y: Tensor,
    inverse_temperature: float = 10.0,
    denominator: Literal["released", "infonce"] = "released",
) -> Tensor:
    """Return the contrastive term of d-Simplex-HOC: the mean over i of ``-s_ii + log(d_i)``.

    ``s_ij = mu cos(old_i, new_j)``: the old feature of a sample is the anchor, its new feature the positive, and
    new features of other classes are negatives (Biondi et al., CVPR 2024).  ``d_i``, with R_i the sum of
    ``exp(s_ij)`` over negatives j, is

    - ``released``: ``n_i + R_i``, n_i the samples of i's class in the batch, i included.  The authors' code
      multiplies similarities within a class by 0, so that each contributes exp(0); the value can be negative.
    - ``infonce``: ``exp(s_ii) + R_i``, never negative.

    Other samples of i's class get no gradient through i.  The full loss is ``lambda CE + (1 - lambda)`` times this,
    with lambda = 0.1.

    Args:
        new: features ``[B, D]`` of the model in training, normalised in here.
        old: features ``[B, D]`` of the previous model for the same samples, a constant, normalised in here.
        y: int64 ``[B]``.
        inverse_temperature: mu, above 0.
        denominator: which d_i.

    >>> higher_order_compatibility(torch.eye(2), torch.eye(2), torch.tensor([0, 1]), inverse_temperature=1.0)
    tensor(-0.3069)
    """
    check_same_shape(new, old, "[B, D]")
    check_labels(y, len(new))
    check_positive("inverse_temperature", inverse_temperature)
    check_choice("denominator", denominator, ("released", "infonce"))
    s = inverse_temperature * F.normalize(old.detach()) @ F.normalize(new).T
    same = y[:, None] == y
    if denominator == "released":
        contrast = s.masked_fill(same, 0)
    else:
        itself = torch.eye(len(s), dtype=torch.bool, device=s.device)
        contrast = s.masked_fill(same & ~itself, -torch.inf)
    return mean_of(contrast.logsumexp(1) - s.diagonal())


def backward_contrastive(
    new: Tensor, old: Tensor, y: Tensor, temperature: float = 0.01, among_new: bool = False
) -> Tensor:
    """Return the contrast of new features with old ones: the mean over i of ``-s_ii + log(exp(s_ii) + R_i)``.

    ``s_ij = cos(new_i, old_j) / T``: the new feature of a sample is the anchor, its old feature the positive, and
    R_i is the sum of ``exp(s_ij)`` over samples j of other classes: the contrastive form of backward-compatible
    training (BCT), as in the code released with RACT (Zhang et al., ICLR 2022).  With ``among_new`` the sum has
    ``exp(cos(new_i, new_j) / T)`` of the same j too, which is RACT.

    Args:
        new: features ``[B, D]`` of the model in training, normalised in here.
        old: features ``[B, D]`` of the previous model for the same samples, a constant, normalised in here.
        y: int64 ``[B]``.
        temperature: T, above 0.
        among_new: whether new features of other classes are negatives too.

    >>> backward_contrastive(torch.eye(2), torch.eye(2), torch.tensor([0, 1]), temperature=1.0)  # log((e + 1) / e)
    tensor(0.3133)
    """
    check_same_shape(new, old, "[B, D]")
    check_labels(y, len(new))
    check_positive("temperature", temperature)
    new, old = F.normalize(new), F.normalize(old.detach())
    same, positive = y[:, None] == y, (new * old).sum(1, keepdim=True) / temperature
    scores = [positive, (new @ old.T / temperature).masked_fill(same, -torch.inf)]
    if among_new:
        scores.append((new @ new.T / temperature).masked_fill(same, -torch.inf))
    return mean_of(torch.cat(scores, 1).logsumexp(1) - positive.squeeze(1))
