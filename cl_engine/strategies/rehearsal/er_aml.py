"""ER-AML: features of new samples are drawn to their own class, the head learns from exemplars."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.losses import asymmetric_contrastive
from cl_engine.strategies.rehearsal.er_ace import ERACE
from cl_engine.strategies.rehearsal.replay import ReplayOptions
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit

BASE_TEMPERATURE = 0.07


class ERAML(ERACE):
    """Experience replay with asymmetric metric learning (ER-AML; Caccia et al., ICLR 2022).

    For each new sample one of the same class and one of another class that comes in with it are drawn.  The loss is
    ``T / 0.07`` times :func:`asymmetric_contrastive` of the new samples and all that were drawn, and the
    cross-entropy of exemplars under a softmax over all seen classes.  A sample for which there is no partner of
    either sort has no part in the first term; while there is no exemplar, new samples are learned as in ER-ACE.

    Memory and rehearsal are those of ``er-ace``.  The released code draws from the whole memory and sends what it
    drew through the network; here partners come from the batch, from new samples and the exemplars beside them, at
    no further cost.  Avalanche subtracts the logarithm of the softmax along the wrong axis, which is another loss.

    With a frozen backbone the first term has nothing to change, and only exemplars train the head.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        temperature: Annotated[
            float, Field(gt=0, allow_inf_nan=False, description="T of the similarities that are contrasted")
        ] = 0.2,
        **options: Unpack[ReplayOptions],
    ) -> None:
        super().__init__(**options)
        self.temperature = temperature

    def train_on(self, task: Task, samples: Samples) -> None:
        """Minimise the loss of samples, their partners, and exemplars, the samples' own classes among these."""
        loss = partial(self.paired, task.generator("partners"))
        fit(self.network, samples, task, loss, memory=self.rehearsed(task, samples), mix=self.mix)

    def paired(self, generator: torch.Generator, batch: Samples) -> Tensor:
        """Return ``T / 0.07 AML(new) + CE(exemplars)``, partners drawn by the CPU generator, a scalar."""
        old = batch.rehearsed
        features = batch.x if self._on_features else self.network.features(batch.x)
        scores = self.network.head(features)
        if "rehearsed" not in batch.columns:  # there is no exemplar yet
            return self.incoming(scores, batch.y)
        same, other, found = partners(batch.y, old, generator)
        drawn = torch.cat([same, other])
        contrast = asymmetric_contrastive(
            features[~old][found], batch.y[~old][found], features[drawn], batch.y[drawn], self.temperature
        )
        recalled = self.cross_entropy(scores[old], batch.y[old])
        return self.temperature / BASE_TEMPERATURE * contrast + recalled


def partners(y: Tensor, old: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw for each new row of a batch another row of its class, and one of another class that new rows have.

    Args:
        y: int64 ``[B]``.
        old: bool ``[B]``, the rows that are rehearsed.
        generator: a CPU generator.

    Returns:
        Places in the batch of rows of the same class and of another one, int64 ``[A]`` each, and which of the new
        rows they belong to, bool; those that lack one or the other are left out.

    >>> y, old = torch.tensor([0, 1, 0]), torch.tensor([False, False, True])
    >>> partners(y, old, torch.Generator().manual_seed(0))
    (tensor([2]), tensor([1]), tensor([ True, False]))
    """
    new = (~old).nonzero().flatten()
    alike = y[new, None] == y
    itself = new[:, None] == torch.arange(len(y), device=y.device)
    same, other = alike & ~itself, ~alike & torch.isin(y, y[new])
    found = same.any(1) & other.any(1)
    same_drawn, other_drawn = (_one_of_each(choice[found], generator) for choice in (same, other))
    return same_drawn, other_drawn, found


def _one_of_each(choice: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random place of each row's true entries."""
    keys = torch.rand(choice.shape, generator=generator).to(choice.device)
    return keys.masked_fill(~choice, -1).argmax(1)
