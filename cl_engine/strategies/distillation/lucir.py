"""LUCIR: classify by cosines, keep the directions of features, hold old classes apart from new ones."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.losses import class_separation, feature_distillation
from cl_engine.models.network import Network
from cl_engine.strategies.coming import coming
from cl_engine.strategies.distillation.proxied import ProxiedReplay
from cl_engine.strategies.rehearsal.replay import MemoryOptions
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class LUCIR(ProxiedReplay):
    """LUCIR (Hou et al., CVPR 2019): a classifier of cosines that old and new classes share alike.

    The loss is cross-entropy; for samples and herded exemplars alike ``strength`` times
    sqrt(classes that do not come / classes that come) times one minus the cosine of new and old features, the
    less-forget constraint; and for those of old classes :func:`cl_engine.losses.class_separation`.  Where every
    class comes once the factor is sqrt(old / new), as in the authors' code; where all come nothing is to be kept.

    Rows of old classes are frozen while the network learns, and offline those of new classes start from the mean
    direction of their features, both as in the authors' code.  Features end in the backbone's ReLU, where the
    authors' ResNet has none.  The class-balance fine-tuning of their code, a stage of its own at the end of an
    experience, is not part of it.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        strength: Annotated[
            float, Field(ge=0, le=1e9, description="lambda base of the less-forget constraint; 10 for ImageNet")
        ] = 5.0,
        margin: Annotated[float, Field(ge=0, le=2, description="m, in units of a cosine")] = 0.5,
        hardest: Annotated[
            int, Field(ge=1, le=10**6, description="K, new classes that an exemplar is held apart from")
        ] = 2,
        separation: Annotated[float, Field(ge=0, le=1e9, description="weight of holding classes apart")] = 1.0,
        **options: Unpack[MemoryOptions],
    ) -> None:
        super().__init__(**options)
        self.strength, self.margin, self.hardest, self.separation = strength, margin, hardest, separation

    def train_on(self, task: Task, samples: Samples) -> None:
        """Train under the network as it was when the experience began."""
        here = coming(task, samples)
        weight = self.strength * math.sqrt(float((~here).sum() / here.sum()))
        teacher = self.teacher(task, samples)
        loss = partial(self.distilled, teacher=teacher, weight=weight, old=task.old_classes)
        fit(self.network, samples, task, loss, memory=self.memory, mix=self.mix)

    def distilled(
        self, batch: Samples, teacher: Network | None = None, weight: float = 0.0, old: int = 0
    ) -> Tensor:
        """Return ``CE + weight (1 - cos) + separation (old from new classes)``, a scalar.

        Args:
            batch: new samples and exemplars.
            teacher: the network before the experience; None without old classes.
            weight: lambda of this experience.
            old: how many classes are old.
        """
        features = self.features_by(self.network, batch.x)
        cosines = self.head.similarities(features)
        loss = self.cross_entropy(self.head.scale * cosines, batch.y)
        if teacher is None:
            return loss
        with torch.no_grad():
            before = self.features_by(teacher, batch.x)
        apart = class_separation(cosines, batch.y, old, self.margin, self.hardest)
        return loss + weight * feature_distillation(features, before) + self.separation * apart

    def features_by(self, network: Network, x: Tensor) -> Tensor:
        """Return a network's features ``[B, D]`` of samples as the memory holds them: features or raw ones."""
        return x if self._on_features else network.features(x)
