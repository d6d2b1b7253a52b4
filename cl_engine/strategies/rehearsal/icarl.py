"""iCaRL: distilled sigmoids, herded exemplars, nearest mean of exemplars."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.memory.exemplars import Quota, Selection
from cl_engine.models.backbone import BackboneOption
from cl_engine.models.network import Network
from cl_engine.strategies.rehearsal.replay import Replay
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class ICaRL(Replay):
    """iCaRL (Rebuffi et al., CVPR 2017): every output is a yes or no, old answers are the old network's.

    Prediction is by the nearest mean of each class's exemplars (algorithm 1); the means are worked out when they
    are asked for, and held by nobody.  Old classes are those of earlier experiences, whether or not they return.
    """

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        selection: Annotated[Selection, Field(description="which exemplars; the paper herds")] = "herding",
        total: Annotated[
            int | None, Field(ge=1, le=10**12, description="exemplars in all, shared by the classes seen")
        ] = None,
        quota: Annotated[Quota, Field(description="floor(K / classes) each, or even shares")] = "papers",
        classifier: Annotated[
            Literal["nearest-mean", "linear"],
            Field(description="nearest mean of exemplars, or the outputs that were trained"),
        ] = "nearest-mean",
    ) -> None:
        super().__init__(backbone=backbone, selection=selection, total=total, quota=quota)
        self.classifier = classifier
        self._means: Tensor | None = None

    def learn(self, task: Task, samples: Samples) -> None:
        """Learn as replay does; the means of other exemplars are other means."""
        super().learn(task, samples)
        self._means = None

    def train_on(self, task: Task, samples: Samples, exemplars: Samples) -> None:
        """Train under the network as it was when the experience began."""
        loss = partial(self.distilled_loss, teacher=task.teacher(self.network), old=task.old_classes)
        fit(self.network, samples, task, loss, memory=exemplars)

    def distilled_loss(self, batch: Samples, teacher: Network | None, old: int) -> Tensor:
        """Binary cross-entropy, summed over classes, averaged over the batch (algorithm 3).

        The targets of the ``old`` classes are the teacher's sigmoids, those of the others the labels.
        """
        scores = self.network(batch.x)
        targets = F.one_hot(batch.y, scores.shape[1]).to(scores.dtype)
        if teacher is not None:
            targets[:, :old] = teacher(batch.x)[:, :old].sigmoid()
        return F.binary_cross_entropy_with_logits(scores, targets, reduction="sum") / len(batch)

    def predict(self, x: Tensor) -> Tensor:
        """Return minus the distance to each class's mean of exemplars, or the outputs: ``[B, classes]``."""
        if self.classifier == "linear":
            return super().predict(x)
        classes = len(self.network.head.bias)
        if self._means is None:
            self._means = self.memory.class_means(self.features, classes)
        distance = torch.cdist(F.normalize(self.features(x)), self._means)
        absent = torch.bincount(self.memory.y.long(), minlength=classes) == 0
        return -distance.masked_fill(absent, 3.0)  # beyond any distance of unit vectors
