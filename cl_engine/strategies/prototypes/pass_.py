"""PASS: noise around the old classes' means stands for their samples; turned images teach the encoder more."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption
from cl_engine.models.network import Network
from cl_engine.strategies.prototypes.running_means import RunningMeans
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit

TURNS = 4  # by 0, 90, 180 and 270 degrees


class PASS(Finetune):
    """Prototype augmentation and self-supervision (PASS; Zhu et al., CVPR 2021); no exemplar is held.

    ``L = CE(turned images) + lambda D + gamma CE(old means + noise)``.  Every class is four, one for each turn
    of the image by 90 degrees; the upright ones are predicted.  D is the distance of the whole batch's features
    from the old network's, as in the authors' code: one Frobenius norm, no mean, so it weighs more in larger
    batches.  Of old classes as many means are drawn as there are images, each with normal noise of the radius
    r.

    r is that of the first experience; its square is the mean over classes of the variance of a feature.  Means
    are of upright, clean samples; the authors' are of augmented ones.  A class that returns moves its mean, and
    is old and here at once.  Samples that are no square images cannot be turned: there every class is one.

    The released code has 10 for both weights, and trains by Adam at 0.001 with a decay of 2e-4 for 101 epochs.  The
    slope of D is as long close to the old features as far away, so that under SGD a 10 breaks every network; the
    weights here are 1, under which Adam does better too.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    radius: Tensor

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        temperature: Annotated[float, Field(gt=0, le=1e9, description="by which scores are divided")] = 0.1,
        feature_strength: Annotated[
            float, Field(ge=0, le=1e9, description="weight lambda of the distance of features")
        ] = 1.0,
        prototype_strength: Annotated[
            float, Field(ge=0, le=1e9, description="weight gamma of the old classes' augmented means")
        ] = 1.0,
    ) -> None:
        super().__init__(backbone=backbone)
        self.temperature = temperature
        self.feature_strength, self.prototype_strength = feature_strength, prototype_strength

    def build(self, task: Task) -> Network:
        """Return the network, and begin without a mean."""
        network = super().build(task)
        square = len(task.shape) == 3 and task.shape[1] == task.shape[2]
        self.turns = TURNS if square else 1
        self.means = RunningMeans(network.backbone.features, task.device)
        self.hold("radius", torch.zeros(1, device=task.device), kind="statistics")
        return network

    def extend(self, task: Task) -> None:
        """Add a row for each turn of each new class, and make room for its mean."""
        self.network.head.grow(self.turns * task.seen_classes, task.generator("head"))
        self.means.grow(task.seen_classes)

    def learn(self, task: Task, samples: Samples) -> None:
        """Train under the network as it was; then add the samples to means and, at first, to the radius."""
        noise = task.generator("noise")
        teacher = task.teacher(self.network)
        loss = partial(self.augmented, teacher=teacher, old=task.old_classes, noise=noise)
        fit(self.network, samples, task, loss)
        first = task.old_classes == 0
        squares = task.keep("radius", lambda: torch.zeros(task.seen_classes if first else 0, device=task.device))
        if task.dry:
            return  # means have their size already
        features = samples.through(self.features)
        self.means.update(features, samples.y)
        if first:
            squares.index_add_(0, samples.y, features.square().sum(1))
            self.radius = noise_radius(squares, self.means.rows, self.means.counts)[None]

    def augmented(self, batch: Samples, teacher: Network | None, old: int, noise: torch.Generator) -> Tensor:
        """Return the loss of the class docstring, a scalar.

        Args:
            batch: samples of the experience.
            teacher: the network before the experience; None without old classes.
            old: how many classes are old.
            noise: a CPU generator; draws old means and noise.
        """
        x, y = self.turned(batch)
        features = self.network.features(x)
        loss = self.cross_entropy(features, y)
        if teacher is None:
            return loss
        with torch.no_grad():
            before = teacher.features(x)
        drawn = torch.randint(old, (len(batch),), generator=noise).to(y.device)
        away = torch.randn(len(batch), features.shape[1], generator=noise).to(features.device)
        means = self.means.rows[drawn] + self.radius * away
        kept = self.cross_entropy(means, self.turns * drawn)
        return loss + self.feature_strength * torch.dist(features, before) + self.prototype_strength * kept

    def cross_entropy(self, features: Tensor, y: Tensor) -> Tensor:
        """Return the mean cross-entropy of features ``[B, D]`` under the softened head, a scalar."""
        scores = self.network.head(features) / self.temperature
        return F.cross_entropy(scores, y, label_smoothing=self.label_smoothing)

    def turned(self, batch: Samples) -> tuple[Tensor, Tensor]:
        """Return every image in each turn, and its class then: upright ones first, of class ``turns * y``."""
        x = torch.cat([torch.rot90(batch.x, k, (2, 3)) if k else batch.x for k in range(self.turns)])
        y = torch.cat([self.turns * batch.y + k for k in range(self.turns)])
        return x, y

    def predict(self, x: Tensor) -> Tensor:
        """Return the logits of upright images, ``[B, classes]``."""
        return super().predict(x)[:, :: self.turns]


def noise_radius(squares: Tensor, means: Tensor, counts: Tensor) -> Tensor:
    """Return r, a scalar: its square is the mean over classes of ``trace(cov) / D``, covariances unbiased.

    Args:
        squares: ``[C]``, the sum over a class's samples of the squared length of their features.
        means: ``[C, D]``.
        counts: int64 ``[C]``; a class with fewer than two samples has no part.

    >>> noise_radius(torch.tensor([10.0]), torch.tensor([[2.0]]), torch.tensor([2]))  # of 1 and 3
    tensor(1.4142)
    """
    several = counts > 1
    spread = (squares - counts * means.square().sum(1)).clamp(min=0) / (counts - 1).clamp(min=1)
    return ((spread * several).sum() / several.sum().clamp(min=1) / means.shape[1]).sqrt()
