"""The losses that continual-learning methods are built from: pure functions of tensors.

Each returns a scalar of its inputs' type, float32 or float64, and raises ValueError for shapes, labels or options
that it cannot take.  What comes from the old model (a teacher) is a constant: no gradient flows into it.  A mean
over nothing is 0, so that an empty rehearsal batch or a first experience without old classes needs no branch.
Weights (lambda, T squared, base temperatures) belong to the method and are not in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F


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
    _same_shape(new, old, "[B, C]")
    _positive("temperature", temperature)
    q = (old.detach() / temperature).softmax(1)
    log_p = (new / temperature).log_softmax(1)
    return _mean(-(q * log_p.masked_fill(q == 0, 0)).sum(1))  # 0 log 0 is 0, not NaN


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
    _same_shape(new, old, "[B, C]")
    if weights.shape != new.shape[1:] or bool((weights <= 0).any()):
        raise ValueError(f"weights is {_described(weights)}; allowed: [{new.shape[1]}], each above 0")
    return distillation(new, old + temperature * weights.to(old).log(), temperature)


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
        raise ValueError(f"counts is {_described(counts)}; allowed: [C], each 0 or more")
    if not 0 <= beta < 1:
        raise ValueError(f"beta is {beta}; allowed: 0 <= beta < 1")
    weights = (1 - beta) / (1 - beta ** counts.double().clamp(min=1))
    return weights / weights.mean() if len(weights) else weights


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
    _matrix("scores", scores, "[B, C]")
    _labels(y, *scores.shape)
    if allowed.dtype != torch.bool or allowed.shape not in (scores.shape, scores.shape[1:]):
        rows, classes = scores.shape
        raise ValueError(f"allowed is {_described(allowed)}; allowed: bool [{classes}] or [{rows}, {classes}]")
    mask = allowed.to(scores.device).expand_as(scores)
    _no_label(y, ~mask.gather(1, y[:, None]).squeeze(1), "a class that is allowed for its sample")
    masked = scores.masked_fill(~mask, -torch.inf)
    loss = _cross_entropy(masked, y)
    if not label_smoothing:
        return loss
    even = -masked.log_softmax(1).masked_fill(~mask, 0).sum(1) / mask.sum(1)
    return (1 - label_smoothing) * loss + label_smoothing * _mean(even)


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
    _same_shape(new, stored, "[B, C]")
    if width.shape != new.shape[:1] or bool(((width < 1) | (width > new.shape[1])).any()):
        raise ValueError(f"width is {_described(width)}; allowed: [{len(new)}], each 1 to {new.shape[1]}")
    known = torch.arange(new.shape[1], device=new.device) < width[:, None]
    squares = (new - stored.detach()).masked_fill(~known, 0).square()
    return _mean(squares.sum(1) / width)


def quadratic_penalty(
    weights: Sequence[Tensor], anchors: Sequence[Tensor], importances: Sequence[Tensor]
) -> Tensor:
    """Return ``sum_j importance_j (weight_j - anchor_j)^2`` over all entries of all tensors.

    The pull of EWC (with lambda / 2 before it), SI (with c) and MAS (with lambda).  Entries of a weight beyond its
    anchor's shape, rows of a head that has grown since, are free.

    Args:
        weights: tensors, at least one.
        anchors: as many, constants, none larger than its weight in any dimension.
        importances: as many, constants, each of its anchor's shape.

    >>> quadratic_penalty([torch.tensor([3.0, 9.0])], [torch.tensor([1.0])], [torch.tensor([0.5])])
    tensor(2.)
    """
    terms = []
    for weight, anchor, importance in zip(weights, anchors, importances, strict=True):
        if importance.shape != anchor.shape:
            found = f"an importance is {list(importance.shape)} and its anchor {list(anchor.shape)}"
            raise ValueError(f"{found}; allowed: the same shape")
        since = weight[tuple(map(slice, anchor.shape))]
        terms.append((importance.detach() * (since - anchor.detach()).square()).sum())
    return torch.stack(terms).sum()


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
    _matrix("scores", scores, "[B, C]")
    _labels(y, *scores.shape)
    if counts.shape != scores.shape[1:] or bool((counts < 0).any()):
        raise ValueError(f"counts is {_described(counts)}; allowed: [{scores.shape[1]}], each 0 or more")
    log_counts = counts.to(scores).log()
    _no_label(y, log_counts[y] == -torch.inf, "a class with a count above 0")
    return _cross_entropy(scores + log_counts, y)


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
    _matrix("z", z, "[N, D]")
    _labels(y, len(z))
    _positive("temperature", temperature)
    z = F.normalize(z)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    similar = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    positive = (y[:, None] == y) & ~itself
    if anchors is not None:
        if anchors.shape != y.shape or anchors.dtype != torch.bool:
            raise ValueError(f"anchors is {_described(anchors)}; allowed: bool [{len(y)}], or None")
        positive = positive & anchors[:, None]
    log_p = similar.log_softmax(1).masked_fill(~positive, 0)  # a lone row's NaN and its gradient end in masks
    return _mean(-log_p.sum(1) / positive.sum(1).clamp(min=1))


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
    _matrix("z", z, "[B, D]")
    _matrix("candidates", candidates, "[N, D]")
    _same_width("z", z, "candidates", candidates)
    _labels(y, len(z))
    _labels(candidates_y, len(candidates))
    _positive("temperature", temperature)
    positive = y[:, None] == candidates_y
    log_p = (F.normalize(z) @ F.normalize(candidates).T / temperature).log_softmax(1)
    count = positive.sum(1)
    losses = -log_p.masked_fill(~positive, 0).sum(1) / count.clamp(min=1)
    return losses.sum() / (count > 0).sum().clamp(min=1)


def prototype_alignment(prototypes: Tensor, features: Tensor, y: Tensor) -> Tensor:
    """Return the mean over N of ``1 - cos(prototypes[y], features)``: each prototype is drawn to its class.

    The prototype loss of PRD (Asadi et al., ICML 2023), in [0, 2]; the paper writes -cos, which has the same
    gradient.  Only prototypes of classes in ``y`` get a gradient, features get none.

    Args:
        prototypes: ``[C, D]``.
        features: ``[N, D]``, a constant.
        y: int64 ``[N]``.

    >>> prototype_alignment(torch.eye(2), torch.tensor([[3.0, 0], [0, -1]]), torch.tensor([0, 1]))
    tensor(1.)
    """
    _matrix("prototypes", prototypes, "[C, D]")
    _matrix("features", features, "[N, D]")
    _same_width("prototypes", prototypes, "features", features)
    _labels(y, len(features), len(prototypes))
    return _mean(1 - F.cosine_similarity(prototypes[y], features.detach(), dim=1))


def relation_distillation(
    new_features: Tensor,
    new_prototypes: Tensor,
    old_features: Tensor,
    old_prototypes: Tensor,
    temperature: float,
    axis: Literal["samples", "prototypes"] = "samples",
    direction: Literal["new_old", "old_new"] = "new_old",
    normalise: bool = True,
    reduction: Literal["sum", "mean"] = "sum",
    groups: Tensor | None = None,
) -> Tensor:
    """Return the divergence between how new and old model relate a batch to the prototypes of old classes.

    The similarities ``[K, N]`` of prototypes and samples, over T, become distributions along ``axis``, one for each
    line along the other axis; each new one is compared with its old one, and ``reduction`` is over all of them.
    Gradients flow into the new features and the new prototypes.

    PRD (Asadi et al., ICML 2023) as its paper defines it is the default: for every prototype a softmax over the
    samples, KL(new || old), cosines, the sum over prototypes.  Its released code is ``axis="prototypes",
    direction="old_new", normalise=False, reduction="mean"`` with T = 1 and the earlier tasks as ``groups``; it is
    not the same loss.

    Args:
        new_features: ``[N, D]`` of the new model.
        new_prototypes: ``[K, D]`` as they are now.
        old_features: ``[N, D']`` of the old model for the same samples, a constant.
        old_prototypes: ``[K, D']`` as they were, a constant.
        temperature: T, above 0.
        axis: what the softmax runs over.
        direction: ``new_old`` is KL(new || old), ``old_new`` is KL(old || new).
        normalise: divide features by their length; prototypes always are.
        reduction: over prototypes if ``axis`` is samples, over samples if it is prototypes.
        groups: int64 ``[K]``, 0 to K - 1; with ``axis="prototypes"`` one softmax over the prototypes of each group,
            and the sum over groups.  None: all are one group.

    >>> features, prototypes = torch.eye(3), torch.tensor([[1.0, 0, 0]])
    >>> relation_distillation(features, prototypes, features.roll(1, 0), prototypes, temperature=1.0)
    tensor(0.3642)
    """
    for model, features, prototypes in (
        ("new", new_features, new_prototypes),
        ("old", old_features, old_prototypes),
    ):
        _matrix(f"{model}_features", features, "[N, D]")
        _matrix(f"{model}_prototypes", prototypes, "[K, D]")
        _same_width(f"{model}_features", features, f"{model}_prototypes", prototypes)
    sizes = [(len(f), len(p)) for f, p in ((new_features, new_prototypes), (old_features, old_prototypes))]
    if sizes[0] != sizes[1]:
        raise ValueError(f"new has {sizes[0]} samples and prototypes, old {sizes[1]}; allowed: the same of both")
    _positive("temperature", temperature)
    _choice("axis", axis, ("samples", "prototypes"))
    _choice("direction", direction, ("new_old", "old_new"))
    _choice("reduction", reduction, ("sum", "mean"))
    if groups is not None:
        _labels(groups, len(new_prototypes), name="groups")
        if axis == "samples":
            raise ValueError("groups are of prototypes, and the softmax runs over samples; allowed: None")

    def log_relations(features: Tensor, prototypes: Tensor) -> Tensor:
        similar = F.normalize(prototypes) @ (F.normalize(features) if normalise else features).T
        lines = similar if axis == "samples" else similar.T
        return _grouped_log_softmax(lines / temperature, groups)

    p = log_relations(new_features, new_prototypes)
    q = log_relations(old_features.detach(), old_prototypes.detach())
    if direction == "old_new":
        p, q = q, p
    divergences = F.kl_div(q, p, reduction="none", log_target=True).sum(1)  # KL(p || q)
    return divergences.sum() if reduction == "sum" else _mean(divergences)


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
    _same_shape(new, old, "[B, D]")
    _labels(y, len(new))
    _positive("inverse_temperature", inverse_temperature)
    _choice("denominator", denominator, ("released", "infonce"))
    s = inverse_temperature * F.normalize(old.detach()) @ F.normalize(new).T
    same = y[:, None] == y
    if denominator == "released":
        contrast = s.masked_fill(same, 0)
    else:
        itself = torch.eye(len(s), dtype=torch.bool, device=s.device)
        contrast = s.masked_fill(same & ~itself, -torch.inf)
    return _mean(contrast.logsumexp(1) - s.diagonal())


def pod(new: Sequence[Tensor], old: Sequence[Tensor]) -> Tensor:
    """Return the distance of pooled squares of feature maps, the mean over B and over maps (PODNet's POD-spatial).

    Each map is squared and summed over its width to ``[C, H]`` and over its height to ``[C, W]``; both side by
    side, of length 1 in each sample, are compared by the L2 distance (Douillard et al., ECCV 2020, as in the
    authors' code).  A vector is a map of one pixel: what is compared is its squares, of length 1.

    Args:
        new: maps ``[B, C, H, W]`` or vectors ``[B, D]`` of the layers of the new model.
        old: as many of the old model for the same samples, of the same shapes, constants.

    >>> pod([torch.tensor([[[[1.0, 0]]]])], [torch.tensor([[[[0.0, 1]]]])])
    tensor(1.0000)
    """
    if [a.shape for a in new] != [b.shape for b in old] or not all(a.ndim in (2, 4) for a in new):
        shapes = [[list(a.shape) for a in maps] for maps in (new, old)]
        raise ValueError(f"new is {shapes[0]} and old is {shapes[1]}; allowed: the same, [B, C, H, W] or [B, D]")
    distances = [(_pooled(a) - _pooled(b.detach())).norm(dim=1) for a, b in zip(new, old, strict=True)]
    return torch.stack([_mean(d) for d in distances]).mean() if distances else torch.zeros(())


def _pooled(maps: Tensor) -> Tensor:
    """Return squares summed over the width beside those summed over the height, ``[B, C (H + W)]`` of length 1."""
    if maps.ndim == 2:
        return F.normalize(maps.square())
    squares = maps.square()
    return F.normalize(torch.cat([squares.sum(3).flatten(1), squares.sum(2).flatten(1)], dim=1))


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
    _matrix("scores", scores, "[B, C]")
    _labels(y, *scores.shape)
    _choice("form", form, ("paper", "released"))
    nothing = torch.finfo(scores.dtype).min  # finite, so that a lone class has a gradient of 0 and not NaN
    own, others = scores.gather(1, y[:, None]).squeeze(1), scores.scatter(1, y[:, None], nothing)
    if form == "released":
        top = scores.amax(1, keepdim=True)
        with_zero = torch.cat([others - top, torch.zeros_like(top)], dim=1)
        return _mean(with_zero.logsumexp(1) - (own - top.squeeze(1)))
    return _mean((others.logsumexp(1) - own + margin).clamp(min=0))


def feature_distillation(new: Tensor, old: Tensor) -> Tensor:
    """Return the mean over B of ``1 - cos(new, old)``, in [0, 2]; no gradient into ``old``.

    CL2R (Biondi et al., ACM TOMM 2023), there on the rehearsed half of a batch; LUCIR's less-forget constraint (Hou
    et al., CVPR 2019) and PODNet's flat term.

    Args:
        new: features ``[B, D]``.
        old: features ``[B, D]`` of the old model for the same samples, a constant.

    >>> feature_distillation(torch.tensor([[2.0, 0], [0, 1]]), torch.tensor([[1.0, 0], [1, 0]]))
    tensor(0.5000)
    """
    _same_shape(new, old, "[B, D]")
    return _mean(1 - F.cosine_similarity(new, old.detach(), dim=1))


def _grouped_log_softmax(lines: Tensor, groups: Tensor | None) -> Tensor:
    """Return the logarithm of a softmax over the columns ``[N, K]`` of each group, all groups in one pass."""
    if groups is None:
        return lines.log_softmax(1)
    index = groups.expand_as(lines)
    largest = lines.new_full(lines.shape, -torch.inf).scatter_reduce(1, index, lines.detach(), "amax")
    shifted = lines - largest.gather(1, index)
    sums = torch.zeros_like(lines).scatter_add(1, index, shifted.exp())
    return shifted - sums.gather(1, index).log()


def _mean(values: Tensor) -> Tensor:
    return values.sum() / max(len(values), 1)


def _cross_entropy(scores: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(scores, y, reduction="sum") / max(len(y), 1)


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _matrix(name: str, tensor: Tensor, allowed: str) -> None:
    if tensor.ndim != 2 or not tensor.is_floating_point():
        raise ValueError(f"{name} is {_described(tensor)}; allowed: floating point {allowed}")


def _same_shape(new: Tensor, old: Tensor, allowed: str) -> None:
    _matrix("new", new, allowed)
    if new.shape != old.shape:
        raise ValueError(f"new is {list(new.shape)} and old is {list(old.shape)}; allowed: the same {allowed}")


def _same_width(name: str, tensor: Tensor, other_name: str, other: Tensor) -> None:
    if tensor.shape[1] != other.shape[1]:
        found = f"{name} is {list(tensor.shape)} and {other_name} is {list(other.shape)}"
        raise ValueError(f"{found}; allowed: the same number of columns")


def _labels(y: Tensor, rows: int, classes: int | None = None, name: str = "y") -> None:
    if y.shape != (rows,) or y.dtype != torch.int64:
        raise ValueError(f"{name} is {_described(y)}; allowed: int64 [{rows}], a label for each row")
    if classes is not None:
        _no_label(y, (y < 0) | (y >= classes), f"0 to {classes - 1}" if classes else "none, there is no class")


def _no_label(y: Tensor, wrong: Tensor, allowed: str) -> None:
    if bool(wrong.any()):
        raise ValueError(f"y holds the label {int(y[wrong][0])}; allowed: {allowed}")


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} is {value}; allowed: above 0")


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed: {' or '.join(map(repr, allowed))}")
