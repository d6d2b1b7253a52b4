"""Dark experience replay: exemplars keep the logits that they had."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.losses import logit_matching
from cl_engine.memory.exemplars.encoded import Column
from cl_engine.strategies.rehearsal.replay import RehearsalOptions, Replay, SelectionOption
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class DarkER(Replay):
    """DER and DER++ (Buzzega et al., NeurIPS 2020): ``CE(new) + alpha * logits(exemplars) + beta * CE(exemplars)``.

    With ``beta: 0`` it is DER.  The term of logits is :func:`logit_matching`, over the outputs that existed when an
    exemplar was stored: the head grows here, while in the released code (Mammoth) it has all outputs from the start
    and those of future classes are matched too.

    As in the released code: the mean over outputs, a reservoir, images stored without augmentation, logits that are
    never refreshed.  Unlike it: logits are those of the plain image in evaluation mode, once its experience, online
    its micro-batch, was trained on, instead of an augmented view in the middle of training; a sample is offered to
    the reservoir once, not in every epoch; one draw of exemplars serves both terms, instead of one each.

    Holds the logits and their number beside each exemplar: 4 bytes for each class and 4 more, of kind ``logits``.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"
    columns: ClassVar = {"logits": Column("logits", (0,)), "width": Column("logits", (), torch.int32)}

    def __init__(
        self,
        *,
        alpha: Annotated[
            float, Field(ge=0, allow_inf_nan=False, description="weight of the exemplars' stored logits")
        ] = 0.3,
        beta: Annotated[
            float,
            Field(ge=0, allow_inf_nan=False, description="weight of the exemplars' labels; 0 is DER, not DER++"),
        ] = 0.5,
        selection: SelectionOption = "reservoir",
        **options: Unpack[RehearsalOptions],
    ) -> None:
        super().__init__(selection=selection, **options)
        self.alpha, self.beta = alpha, beta

    def begin(self, task: Task) -> None:
        """Begin as ``replay`` does; make room for the logits of the new classes."""
        super().begin(task)
        self.memory.widen("logits", task.seen_classes)

    def described(self, task: Task, samples: Samples) -> Samples:
        """Return the samples with the logits that they have now, and how many these are."""
        logits = self.through(task, samples, self.logits)
        task.charge("logits of new samples", logits.numel() * logits.element_size())
        return samples.with_columns(
            logits=logits, width=torch.full_like(samples.y, logits.shape[1], dtype=torch.int32)
        )

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """Return logits ``[N, classes]`` of samples as the memory holds them, in batches."""
        return torch.cat([self.scores(self.network, part) for part in torch.split(x, 1024)])

    def loss(self, batch: Samples) -> Tensor:
        """Cross-entropy of new samples, and what exemplars add, a scalar."""
        scores, old = self.scores(self.network, batch.x), batch.rehearsed
        loss = self.cross_entropy(scores[~old], batch.y[~old])
        if "logits" not in batch.columns:  # nothing is stored yet
            return loss
        stored, width = batch.columns["logits"][old], batch.columns["width"][old]
        recalled = scores[old]
        loss = loss + self.alpha * logit_matching(recalled[:, : stored.shape[1]], stored, width)
        return loss + self.beta * self.cross_entropy(recalled, batch.y[old])
