"""Elastic weight consolidation."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.kinds.problems import OptionError
from cl_engine.memory.beside import Beside
from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.regularisation.anchored import CHUNK, Measured, StrengthOption, pull, sums_over_samples
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class EWC(Measured):
    """EWC (Kirkpatrick et al., PNAS 2017; online: Schwarz et al., ICML 2018): what mattered stays where it was.

    The loss is ``CE + strength / 2 * sum_j F_j (theta_j - theta*_j)^2``.  F is the diagonal of the empirical Fisher
    matrix, the mean square of each single sample's gradient of log p(y|x) in evaluation mode.  With ``penalty:
    online`` it becomes ``decay * F + F_new`` after each experience and the anchor moves along; ``separate`` keeps
    an F and an anchor of each experience, of the network's size at that time, and adds up the penalties.

    Strengths are not portable from code that has no half, or squares the gradient of a whole batch, which is
    smaller by about the batch size.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        strength: StrengthOption = 100.0,
        penalty: Annotated[
            Literal["online", "separate"],
            Field(description="one penalty that moves along, or one of each experience, which are all held"),
        ] = "online",
        decay: Annotated[
            float, Field(ge=0, le=1, description="share of the earlier importance that stays, gamma; only online")
        ] = 1.0,
    ) -> None:
        super().__init__(backbone=backbone, strength=strength / 2)
        self.decay, self.separate = decay, penalty == "separate"
        self.earlier = nn.ModuleList()  # pairs of importance and anchor, one of each earlier experience
        if self.separate and decay != 1:
            raise OptionError("decay", f"got {decay} with `penalty: separate`; allowed: 1, or `penalty: online`")

    def begin(self, task: Task) -> None:
        """Grow the head; what is new has no importance yet, and with separate penalties nothing has."""
        if self.separate and task.index:
            self.earlier.append(nn.ModuleList([self.importance, self.anchor]))
            self.importance, self.anchor = Beside("importance"), Beside("anchor")
        super().begin(task)

    def penalty(self) -> Tensor:
        """Return the squared distances of the weights to the anchors, weighted by importance, a scalar."""
        pairs = [*self.earlier] or [(self.importance, self.anchor)]
        return torch.stack([pull(self.network, anchor, importance) for importance, anchor in pairs]).sum()

    def measured(self, samples: Samples, chunk: int) -> dict[str, Tensor]:
        """Return the squared gradients of -log p(y|x)."""
        return squared_gradients(self.network, samples, chunk)


def squared_gradients(module: nn.Module, samples: Samples, chunk: int = CHUNK) -> dict[str, Tensor]:
    """Return the square of each single sample's gradient of -log p(y|x), summed over the samples.

    See :func:`sums_over_samples`.

    >>> layer = nn.Linear(1, 2, bias=False)
    >>> _ = layer.weight.data.zero_()
    >>> squared_gradients(layer, Samples(torch.tensor([[1.0], [3.0]]), torch.tensor([0, 1])))  # (1 + 9) / 4
    {'weight': tensor([[2.5000],
            [2.5000]])}
    """
    return sums_over_samples(module, samples, F.cross_entropy, torch.square, chunk)
