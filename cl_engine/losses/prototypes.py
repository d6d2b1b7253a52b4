"""One vector a class: drawn to its class, and held in its relations to the batch."""

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
    check_same_width,
    mean_of,
)


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
    check_matrix("prototypes", prototypes, "[C, D]")
    check_matrix("features", features, "[N, D]")
    check_same_width("prototypes", prototypes, "features", features)
    check_labels(y, len(features), len(prototypes))
    return mean_of(1 - F.cosine_similarity(prototypes[y], features.detach(), dim=1))


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
        check_matrix(f"{model}_features", features, "[N, D]")
        check_matrix(f"{model}_prototypes", prototypes, "[K, D]")
        check_same_width(f"{model}_features", features, f"{model}_prototypes", prototypes)
    sizes = [(len(f), len(p)) for f, p in ((new_features, new_prototypes), (old_features, old_prototypes))]
    if sizes[0] != sizes[1]:
        raise ValueError(f"new has {sizes[0]} samples and prototypes, old {sizes[1]}; allowed: the same of both")
    check_positive("temperature", temperature)
    check_choice("axis", axis, ("samples", "prototypes"))
    check_choice("direction", direction, ("new_old", "old_new"))
    check_choice("reduction", reduction, ("sum", "mean"))
    if groups is not None:
        check_labels(groups, len(new_prototypes), name="groups")
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
    return divergences.sum() if reduction == "sum" else mean_of(divergences)


def _grouped_log_softmax(lines: Tensor, groups: Tensor | None) -> Tensor:
    """Return the logarithm of a softmax over the columns ``[N, K]`` of each group, all groups in one pass."""
    if groups is None:
        return lines.log_softmax(1)
    index = groups.expand_as(lines)
    largest = lines.new_full(lines.shape, -torch.inf).scatter_reduce(1, index, lines.detach(), "amax")
    shifted = lines - largest.gather(1, index)
    sums = torch.zeros_like(lines).scatter_add(1, index, shifted.exp())
    return shifted - sums.gather(1, index).log()
