"""Memory aware synapses: what the outputs depend on stays where it was."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.regularisation.anchored import CHUNK, Measured, StrengthOption, sums_over_samples
from cl_engine.strategies.strategy import BudgetDecides


class MAS(Measured):
    """Memory aware synapses (MAS; Aljundi et al., ECCV 2018).

    The loss is ``CE + strength * sum_j Omega_j (theta_j - theta*_j)^2``.  Omega is the mean over samples of ``|d
    ||F(x)||^2 / d theta|``, F the logits in evaluation mode, and is summed over experiences; labels have no part in
    it.  As in the paper it is of single samples and of the squared norm: FACIL and Avalanche take the gradient of a
    whole batch and average over experiences, FACIL of the norm itself, so their strengths mean something else.

    The squared norm grows with the logits, and a large penalty makes steps diverge: then lower ``strength`` or
    ``training.lr``.  The default is a tenth of the authors' strength, which leaves room for a larger rate.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        strength: StrengthOption = 0.1,
    ) -> None:
        super().__init__(backbone=backbone, strength=strength)

    def measured(self, samples: Samples, chunk: int) -> dict[str, Tensor]:
        """Return how much the outputs depend on each weight."""
        return sensitivities(self.network, samples, chunk)


def sensitivities(module: nn.Module, samples: Samples, chunk: int = CHUNK) -> dict[str, Tensor]:
    """Return ``|d ||F(x)||^2 / d theta|`` of each single sample, summed over the samples.

    See :func:`sums_over_samples`.

    >>> layer = nn.Linear(1, 1, bias=False)
    >>> _ = layer.weight.data.fill_(2.0)
    >>> sensitivities(layer, Samples(torch.tensor([[1.0], [-3.0]]), torch.tensor([0, 0])))  # 2 * 2 * (1 + 9)
    {'weight': tensor([[40.]])}
    """
    return sums_over_samples(module, samples, lambda logits, _: logits.square().sum(), torch.abs, chunk)
