"""Finetune: the lower reference, and the frame of every method that trains a network by gradient descent."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption
from cl_engine.models.network import Network
from cl_engine.strategies.strategy import BudgetDecides, Strategy
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class Finetune(Strategy):
    """Train on each experience as it comes, with cross-entropy over all seen classes; forgets the earlier ones.

    A method that differs overrides what differs: :meth:`build` the network, :meth:`extend` it, the :meth:`loss`.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    network: Network
    label_smoothing = 0.0

    def __init__(self, *, backbone: BackboneOption = "mlp") -> None:
        super().__init__()
        self.backbone = backbone

    def begin(self, task: Task) -> None:
        """Build the network for the first experience; extend it for the new classes."""
        self.label_smoothing = task.training.label_smoothing
        if task.index == 0:
            self.network = self.build(task)
        self.extend(task)

    def build(self, task: Task) -> Network:
        """Return the network of the first experience."""
        generator = task.generator("backbone")
        return Network(self.backbone, task.shape, generator, task.device, task.normalisation)

    def extend(self, task: Task) -> None:
        """Add rows for the new classes to the head."""
        self.network.head.grow(task.seen_classes, task.generator("head"))

    def learn(self, task: Task, samples: Samples) -> None:
        """Minimise the loss of the experience's samples."""
        fit(self.network, samples, task, self.loss)

    def loss(self, batch: Samples) -> Tensor:
        """Mean cross-entropy over the batch, ``-1/B sum_i log softmax(f(x_i))_y_i``, a scalar."""
        return F.cross_entropy(self.network(batch.x), batch.y, label_smoothing=self.label_smoothing)

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Return backbone features ``[B, D]``, in batches."""
        return torch.cat([self.network.features(part) for part in torch.split(x, 1024)])

    def predict(self, x: Tensor) -> Tensor:
        """Return logits ``[B, classes]``."""
        logits: Tensor = self.network(x)
        return logits
