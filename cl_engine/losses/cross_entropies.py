"""Cross-entropies over some of the classes, or with some of them heavier; and PODNet's of proxies."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from cl_engine.losses.arguments import (
    check_choice,
    check_labels,
    check_matrix,
    check_no_label,
    described,
    mean_cross_entropy,
    mean_of,
)


def masked_cross_entropy(scores: Tensor, y: Tensor, allowed: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the mean cross-entropy of a softmax over the allowed classes only.

    ER-ACE (Caccia et al., ICLR 2022) allows the classes of the incoming batch, LwF those of the experience.  A
    class that is not allowed gets no gradient at all.

    Args:
        scores: ``[B, C]``.
        y: int64 ``[B]``.
        allowed: bool, ``[C]`` for all samples or ``[B, C]`` for each.
        label_smoothing: share of the target that all allowed classes of a sample get evenly.

    Raises:
        ValueError: a label is not allowed: its loss would be infinite.

    >>> allowed = torch.tensor([True, False, True])
    >>> masked_cross_entropy(torch.zeros(2, 3), torch.tensor([0, 2]), allowed)  # log 2
    tensor(0.6931)
    """
    check_matrix("scores", scores, "[B, C]")
    check_labels(y, *scores.shape)
    if allowed.dtype != torch.bool or allowed.shape not in (scores.shape, scores.shape[1:]):
        rows, classes = scores.shape
        raise ValueError(f"allowed is {described(allowed)}; allowed: bool [{classes}] or [{rows}, {classes}]")
    mask = allowed.to(scores.device).expand_as(scores)
    check_no_label(y, ~mask.gather(1, y[:, None]).squeeze(1), "a class that is allowed for its sample")
    masked = scores.masked_fill(~mask, -torch.inf)
    loss = mean_cross_entropy(masked, y)
    if not label_smoothing:
        return loss
    even = -masked.log_softmax(1).masked_fill(~mask, 0).sum(1) / mask.sum(1)
    return (1 - label_smoothing) * loss + label_smoothing * mean_of(even)


def balanced_softmax(scores: Tensor, y: Tensor, counts: Tensor) -> Tensor:
    """Return the mean cross-entropy of ``scores + log counts``: frequent classes have to win by more.

    Balanced softmax (Ren et al., NeurIPS 2020).  Only the ratios of the counts matter; equal counts give the plain
    cross-entropy.  A class that was never counted takes no part and gets no gradient.

    Args:
        scores: ``[B, C]``.
        y: int64 ``[B]``.
        counts: ``[C]``, training samples of each class, 0 or more, of any number type.

    Raises:
        ValueError: a label whose count is 0: its loss would be infinite.

    >>> balanced_softmax(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([1, 3]))  # log 4
    tensor(1.3863)
    """
    check_matrix("scores", scores, "[B, C]")
    check_labels(y, *scores.shape)
    if counts.shape != scores.shape[1:] or bool((counts < 0).any()):
        raise ValueError(f"counts is {described(counts)}; allowed: [{scores.shape[1]}], each 0 or more")
    log_counts = counts.to(scores).log()
    check_no_label(y, log_counts[y] == -torch.inf, "a class with a count above 0")
    return mean_cross_entropy(scores + log_counts, y)


def effective_number_weights(counts: Tensor, beta: float) -> Tensor:
    """Return weights in proportion to ``(1 - beta) / (1 - beta^n)``, with mean 1: the rarer, the larger.

    By the effective number of samples (Cui et al., CVPR 2019): 1 / n for small n, constant from about
    1 / (1 - beta) on.  A class that was never counted weighs as one with a single sample.

    Args:
        counts: ``[C]``, samples of each class, 0 or more, of any number type.
        beta: at least 0, below 1; at 0 all weights are 1.

    Returns:
        float64 ``[C]``.

    >>> effective_number_weights(torch.tensor([20, 20, 500]), 0.97)
    tensor([1.2214, 1.2214, 0.5572], dtype=torch.float64)
    """
    if counts.ndim != 1 or bool((counts < 0).any()):
        raise ValueError(f"counts is {described(counts)}; allowed: [C], each 0 or more")
    if not 0 <= beta < 1:
        raise ValueError(f"beta is {beta}; allowed: 0 <= beta < 1")
    weights = (1 - beta) / (1 - beta ** counts.double().clamp(min=1))
    return weights / weights.mean() if len(weights) else weights


def proxy_nca(
    scores: Tensor, y: Tensor, margin: float | Tensor = 0.0, form: Literal["paper", "released"] = "paper"
) -> Tensor:
    """Return the loss of PODNet's classifier, by neighbourhood components (Douillard et al., ECCV 2020).

    - ``paper``: the mean over B of ``max(0, log sum_{c != y} exp(s_c) - (s_y - margin))``: a sample whose class
      wins by the margin is left alone.
    - ``released``: as in the authors' code and in PyCIL, where the margin is taken from every score and so cancels,
      the class itself stays in the sum as exp(0) once the largest score of the sample is taken off, and nothing
      is cut at 0.  Where the class wins this is the plain cross-entropy.

    Args:
        scores: ``eta s``, ``[B, C]``.
        y: int64 ``[B]``.
        margin: in units of the scores, so ``eta delta``; 0 or more.
        form: which.

    >>> proxy_nca(torch.tensor([[2.0, 0]]), torch.tensor([0])), proxy_nca(torch.zeros(1, 2), torch.tensor([0]), 0.5)
    (tensor(0.), tensor(0.5000))
    """
    check_matrix("scores", scores, "[B, C]")
    check_labels(y, *scores.shape)
    check_choice("form", form, ("paper", "released"))
    nothing = torch.finfo(scores.dtype).min  # finite, so that a lone class has a gradient of 0 and not NaN
    own, others = scores.gather(1, y[:, None]).squeeze(1), scores.scatter(1, y[:, None], nothing)
    if form == "released":
        top = scores.amax(1, keepdim=True)
        with_zero = torch.cat([others - top, torch.zeros_like(top)], dim=1)
        return mean_of(with_zero.logsumexp(1) - (own - top.squeeze(1)))
    return mean_of((others.logsumexp(1) - own + margin).clamp(min=0))
