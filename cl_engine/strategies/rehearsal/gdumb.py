"""GDumb: a balanced memory, and a fresh network that has seen nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from cl_engine.data.samples import Samples
from cl_engine.memory.codecs.raw import Raw
from cl_engine.memory.exemplars.encoded import EncodedSamples
from cl_engine.memory.exemplars.greedy import greedily_balanced
from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.strategies.rehearsal.replay import DEFAULT_TOTAL, TotalOption
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class GDumb(Finetune):
    """GDumb (Prabhu et al., ECCV 2020): store greedily and balanced, and train from scratch on what is stored.

    Nothing is trained while samples come.  At the end of an experience a new network is trained on the memory
    alone, for ``passes`` epochs with the rest of the training section, in an online stream too; until then the
    network of the experience before answers.  The released code trains once, for 256 passes with cutmix and a
    cosine schedule with warm restarts.

    Samples are raw, as many as ``total`` and the memory budget allow; 200 where neither is given.
    """

    budget_decides: ClassVar[BudgetDecides] = "everything"  # a network never sees more than the memory

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        total: TotalOption = None,
        passes: Annotated[
            int, Field(ge=1, le=10**6, description="epochs over the memory, instead of training.epochs")
        ] = 64,
    ) -> None:
        super().__init__(backbone=backbone)
        self.total, self.passes = total, passes

    def begin(self, task: Task) -> None:
        """Build and extend the network; start with an empty memory."""
        super().begin(task)
        if task.index == 0:
            self.memory = EncodedSamples(task.shape, Raw()).to(task.device)

    def learn(self, task: Task, samples: Samples) -> None:
        """Let the samples into the memory."""
        self._choose(task, samples)

    def end(self, task: Task) -> None:
        """Train a fresh network on the memory."""
        if not len(self.memory):
            return
        self.network = self.build(task)
        self.extend(task)
        training = replace(task.training, epochs=self.passes)
        fit(self.network, self.memory.samples(copy=False), task, self.loss, training=training, whole=True)
        self._choose(task, self.memory.samples(copy=False)[:0])  # a budget may count what training has taken

    def _choose(self, task: Task, samples: Samples) -> None:
        limits = [limit for limit in (self.total, task.exemplar_slots(self)) if limit is not None]
        slots = min(limits, default=DEFAULT_TOTAL)
        labels, held = torch.cat([self.memory.y.long(), samples.y]).cpu(), len(self.memory)
        places = greedily_balanced(
            labels[:held].tolist(), labels[held:].tolist(), slots, task.generator("exemplars")
        )
        if places == [*range(held)]:
            return
        kept = torch.tensor(places, dtype=torch.int64)
        arriving = samples.rows((kept[kept >= held] - held).to(samples.y.device))
        encoded = self.memory.encoded().take(kept[kept < held]).join(self.memory.codec.encode(arriving))
        self.memory.replace(encoded, labels[kept])
