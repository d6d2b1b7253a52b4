"""MIR: rehearse the exemplars that the next step would hurt most."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.strategies.rehearsal.replay import MemoryOptions, Replay, SelectionOption
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.charges import bytes_of
from cl_engine.terms.task import Task
from cl_engine.training.gradients import gradients
from cl_engine.training.loop import fit


class MIR(Replay):
    """Maximally interfered retrieval (MIR; Aljundi et al., NeurIPS 2019).

    Beside each batch stand ``candidates`` from the memory, none twice.  Those whose loss would rise most by a plain
    gradient step on the new samples alone, as many as these, are trained on with them; the others only take part in
    the choice.  Candidates are judged in evaluation mode, and no copy of the network is made.

    Online the memory holds samples of the current experience too; the released code leaves those out, for which it
    must know where one ends.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        candidates: Annotated[
            int,
            Field(ge=1, le=10**6, description="exemplars drawn beside a batch, of which the most hurt are used"),
        ] = 50,
        selection: SelectionOption = "reservoir",
        **options: Unpack[MemoryOptions],
    ) -> None:
        super().__init__(selection=selection, mix=candidates, **options)

    def train_on(self, task: Task, samples: Samples) -> None:
        """Minimise the loss of samples and of the candidates that each step would hurt most."""
        loss = partial(self.with_most_hurt, task)
        fit(self.network, samples, task, loss, memory=self.memory, mix=self.mix, distinct=True)

    def with_most_hurt(self, task: Task, batch: Samples) -> Tensor:
        """Mean cross-entropy of new samples and, of the candidates, those that are hurt most, a scalar."""
        old = batch.rehearsed
        new, candidates = batch[~old], batch[old]
        if not len(candidates):
            return self.loss(new)
        self.network.eval()
        hurt = interference(self.network.head if self._on_features else self.network, new, candidates, task)
        self.network.train()
        return self.loss(new + candidates[hurt.topk(min(len(new), len(hurt))).indices])


def interference(module: nn.Module, new: Samples, candidates: Samples, task: Task) -> Tensor:
    """Return by how much the loss of each candidate would rise by a gradient step on the new samples, ``[N]``.

    That is ``CE(x; w - lr dCE(new; w)/dw) - CE(x; w)``.

    Args:
        module: maps samples to logits; does not change.
        new: what the step would be on.
        candidates: whose losses are compared.
        task: says how long a step is at first, and is charged gradients, and the weights after the step.
    """

    def losses(batch: Samples, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        logits = module(batch.x) if weights is None else functional_call(module, dict(weights), (batch.x,))
        return F.cross_entropy(logits, batch.y, reduction="none")

    weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
    slopes = gradients(lambda batch: losses(batch).mean(), new, [*weights.values()], task, "virtual step")
    with torch.no_grad():
        moved = {n: p - task.training.lr * slope for (n, p), slope in zip(weights.items(), slopes, strict=True)}
        task.charge("virtual step weights", bytes_of(moved))
        return losses(candidates, moved) - losses(candidates)
