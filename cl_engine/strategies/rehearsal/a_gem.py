"""A-GEM: no step may raise the loss of the exemplars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.memory.exemplars.encoded import EncodedSamples
from cl_engine.strategies.rehearsal.replay import MemoryOptions, Replay, SelectionOption
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.gradients import gradients
from cl_engine.training.loop import decoded, fit


class AGEM(Replay):
    """Averaged gradient episodic memory (A-GEM; Chaudhry et al., ICLR 2019).

    Trains on new samples only.  Where the gradient ``g`` of a step and that of exemplars, ``r``, disagree, ``g.r <
    0``, the step follows ``g - (g.r / r.r) r`` instead, which leaves the exemplars' loss as it is to first order.
    Exemplars go through the network as they are stored, not augmented, and in evaluation mode, so they move no
    running statistics.  The projection comes before clipping, weight decay and momentum.  As in the paper there is
    no momentum by default, whatever ``training.momentum`` says: a velocity follows gradients that were held against
    the exemplars of earlier steps, and loses nearly all that the method keeps.

    The memory is that of ``replay``: by default of each class as many, chosen at the end of an experience, which
    stands for the authors' fill by task; with ``selection: reservoir`` it is A-GEM-R.  Online it has samples of the
    current experience too.  The authors mask the head by the task, here all seen classes compete.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        reference: Annotated[
            int,
            Field(ge=1, le=10**6, description="exemplars that a step is held against, all where there are no more"),
        ] = 256,
        momentum: Annotated[
            float, Field(ge=0, lt=1, description="momentum of SGD, instead of training.momentum")
        ] = 0.0,
        selection: SelectionOption = "random",
        **options: Unpack[MemoryOptions],
    ) -> None:
        super().__init__(selection=selection, **options)
        self.reference, self.momentum = reference, momentum

    def train_on(self, task: Task, samples: Samples) -> None:
        """Minimise the loss of the samples with steps that exemplars have no objection to."""
        memory = self.memory if task.online else decoded(self.memory, task)
        project = partial(self.project, task, memory) if len(memory) else None
        nesterov = task.training.nesterov and self.momentum > 0
        training = replace(task.training, momentum=self.momentum, nesterov=nesterov)
        fit(self.network, samples, task, self.loss, training=training, before_step=project)

    def project(self, task: Task, memory: Samples | EncodedSamples) -> None:
        """Change the gradients of the network where those of exemplars disagree with them."""
        generator = task.generator("reference")
        if len(memory) <= self.reference:
            drawn = torch.arange(len(memory))
        else:
            drawn = torch.randint(len(memory), (self.reference,), generator=generator)
        exemplars = memory[drawn.to(task.device)]
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.network.eval()
        references = gradients(self.loss, exemplars, parameters, task, "reference")
        self.network.train()
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        for parameter, gradient in zip(parameters, projected(found, references), strict=True):
            parameter.grad = gradient


def projected(gradient: Sequence[Tensor], reference: Sequence[Tensor]) -> list[Tensor]:
    """Return ``g - (g.r / r.r) r`` where ``g.r < 0``, else ``g``; tensors of one vector each, part by part.

    >>> projected([torch.tensor([1.0, -1.0])], [torch.tensor([0.0, 2.0])])
    [tensor([1., 0.])]
    """
    agreement = torch.stack([(g * r).sum() for g, r in zip(gradient, reference, strict=True)]).sum()
    length = torch.stack([r.square().sum() for r in reference]).sum()
    share = torch.where(agreement < 0, agreement / length, 0)  # r = 0 never disagrees
    return [g - share * r for g, r in zip(gradient, reference, strict=True)]
