"""Co2L: contrast with anchors of the experience alone, relations of samples distilled, then a linear head."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.losses import supervised_contrastive
from cl_engine.models.projected import ProjectedNetwork
from cl_engine.strategies.coming import coming
from cl_engine.strategies.rehearsal.replay import MemoryOptions, MixOption, Replay, SelectionOption
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.charges import bytes_of
from cl_engine.terms.task import Task
from cl_engine.training.loop import Groups, fit

BASE_TEMPERATURE = 0.07  # the authors' code multiplies the contrast by T over this


class Co2L(Replay):
    """Contrastive continual learning (Co2L; Cha et al., ICCV 2021).

    New samples and exemplars are contrasted in two views, with samples of the experience's classes alone as
    anchors; a class that returns is one of them.  As in the authors' code the mean is over all samples, so that
    the contrast weighs less the more is rehearsed.  Beside it the similarities between samples, as projected,
    are distilled from the network as it was when the experience began (IRD).  Then the encoder stands still and
    the head learns on its features, every class with the same weight.

    The authors sample classes evenly where the weights stand, train a new head each time, and augment its samples;
    here it goes on from where it was, on clean ones.  Their encoder trains at `lr: 0.5` in batches of 512 for 500
    epochs, then 100.  Online the head learns from each micro-batch and as many exemplars as fill a batch, evenly of
    each class.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"
    network: ProjectedNetwork

    def __init__(
        self,
        *,
        selection: SelectionOption = "random",
        mix: MixOption = "joint",
        temperature: Annotated[float, Field(gt=0, le=1e9, description="tau of the contrast")] = 0.5,
        strength: Annotated[float, Field(ge=0, le=1e9, description="weight lambda of the distillation")] = 1.0,
        new_temperature: Annotated[
            float, Field(gt=0, le=1e9, description="kappa of the new network's similarities")
        ] = 0.2,
        old_temperature: Annotated[
            float, Field(gt=0, le=1e9, description="kappa of the old network's; a small one sharpens them")
        ] = 0.01,
        projection: Annotated[int, Field(ge=1, le=10**6, description="width that contrast projects to")] = 128,
        **options: Unpack[MemoryOptions],
    ) -> None:
        super().__init__(selection=selection, mix=mix, **options)
        self.temperature, self.strength, self.projection = temperature, strength, projection
        self.new_temperature, self.old_temperature = new_temperature, old_temperature

    def build(self, task: Task) -> ProjectedNetwork:
        """Return backbone, projection and head."""
        generator = task.generator("backbone")
        return ProjectedNetwork(
            self.backbone, task.shape, generator, task.device, task.normalisation, self.projection
        )

    def train_on(self, task: Task, samples: Samples) -> None:
        """Train encoder and projection by contrast and distillation, then the head on the encoder's features."""
        here = coming(task, samples).to(task.device)
        loss = partial(self.contrast, here=here, teacher=task.teacher(self.network))
        groups: Groups = [
            {"params": [*self.network.backbone.parameters(), *self.network.projection.parameters()]},
        ]
        fit(self.network, samples, task, loss, memory=self.memory, mix=self.mix, views=2, groups=groups)
        self.train_head(task, samples)

    def contrast(self, batch: Samples, here: Tensor, teacher: ProjectedNetwork | None = None) -> Tensor:
        """Return ``T / 0.07 SupCon(anchors of the experience's classes) + lambda IRD``, a scalar.

        Args:
            batch: both views of samples and exemplars.
            here: bool ``[C]``, the classes of the experience.
            teacher: the network before the experience; None without old classes.
        """
        z = self.projected(self.network, batch.x)
        asymmetric = supervised_contrastive(z, batch.y, self.temperature, anchors=here[batch.y])
        loss = self.temperature / BASE_TEMPERATURE * asymmetric
        if teacher is None:
            return loss
        with torch.no_grad():
            before = self.projected(teacher, batch.x)
        kept = instance_relation_distillation(z, before, self.new_temperature, self.old_temperature)
        return loss + self.strength * kept

    def projected(self, network: ProjectedNetwork, x: Tensor) -> Tensor:
        """Return the projection ``[B, width]`` of samples as the memory holds them: features or raw ones."""
        projected: Tensor = network.projection(x if self._on_features else network.features(x))
        return projected

    def train_head(self, task: Task, samples: Samples) -> None:
        """Train the head on the features of samples and exemplars, each class as much as any other."""
        if task.online:
            count = task.training.batch_size
            exemplars = self.memory.sample(count, task.generator("head samples"), balanced=True)
        else:
            exemplars = self.memory.samples()
        both = samples.labelled(samples.y) + exemplars.labelled(exemplars.y)
        features = both.x if self._on_features else self.through(task, both, self.features)
        described = Samples(features, both.y)
        task.charge("head samples", bytes_of([both.x, described.x, both.y]))
        counts = torch.bincount(both.y, minlength=task.seen_classes)
        loss = partial(self.balanced, weights=1 / counts.clamp(min=1))
        fit(
            self.network.head,
            described,
            task,
            loss,
            training=replace(task.training, augmentation=None),
            name="head",
        )

    def balanced(self, batch: Samples, weights: Tensor) -> Tensor:
        """Return the cross-entropy of features, every sample with the weight ``[C]`` of its class, a scalar."""
        scores = self.network.head(batch.x)
        return F.cross_entropy(scores, batch.y, weight=weights, label_smoothing=self.label_smoothing)


def instance_relation_distillation(
    new: Tensor, old: Tensor, new_temperature: float, old_temperature: float
) -> Tensor:
    """Return the mean over N of ``-sum_j q_ij log p_ij`` over the other samples j (Co2L, equation 5).

    ``p_i = softmax_j(cos(new_i, new_j) / new_temperature)``, q the same of ``old``; a sample is not related to
    itself.  At its minimum it is the entropy of q.  Without any other sample it is 0.

    Args:
        new: ``[N, D]`` of the model in training.
        old: ``[N, D']`` of the old model for the same samples, a constant.
        new_temperature: above 0.
        old_temperature: above 0.

    >>> instance_relation_distillation(torch.eye(3), torch.eye(3), 1.0, 1.0)  # log 2
    tensor(0.6931)
    """
    if len(new) < 2:
        return new.sum() * 0

    def others(z: Tensor, temperature: float) -> Tensor:
        similar = F.normalize(z) @ F.normalize(z).T / temperature
        n = len(similar)  # without its first entry, in rows of n + 1, the last column is the diagonal
        return similar.flatten()[1:].view(n - 1, n + 1)[:, :-1].reshape(n, n - 1)

    q = others(old.detach(), old_temperature).softmax(1)
    return -(q * others(new, new_temperature).log_softmax(1)).sum(1).mean()
