"""FeCAM: a normal distribution for each class on the features of an encoder that stands still."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption, build_backbone
from cl_engine.models.extraction import features_of
from cl_engine.models.heads import Head
from cl_engine.strategies.on_features import CHUNK
from cl_engine.strategies.prototypes.running_means import RunningMeans
from cl_engine.strategies.strategy import BudgetDecides, Strategy
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit

UNSEEN = -1e9  # the score of a class without a sample


class FeCAM(Strategy):
    """FeCAM (Goswami et al., NeurIPS 2023): Mahalanobis distance to class means, one covariance a class.

    The backbone is trained in the first experience, by cross-entropy with a linear head that is then gone, and
    stands still ever after; a pretrained one that is frozen is not trained at all.  Features are made more
    normal by Tukey's transformation ``x^p``; a covariance is of transformed features, shrunk twice and scaled
    to a correlation.  A mean is taken first and transformed then, and both means and features have unit length
    when they are compared.

    The authors use a cosine head and AutoAugment in the first experience, and predict its classes by that
    head's weights until the second one; here the distance counts from the start.  Negative features, which they
    do not allow, keep their sign.  Means and scatter are held so that samples may come in any order and classes
    may return: to add them one by one or all at once is the same.  Online in the first experience features
    still move while they are counted; a frozen backbone is better there.

    A covariance takes D^2 floats a class; ``common`` is one for all classes, within them.  ``diagonal`` takes D; as
    its correlation would say nothing, variances are scaled to a mean of 1 instead.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    scatter: Tensor
    _factors: Tensor | None = None

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        covariance: Annotated[
            Literal["full", "common", "diagonal"], Field(description="one a class, one for all, or variances alone")
        ] = "full",
        power: Annotated[
            float, Field(gt=0, le=10, description="of Tukey's transformation; 1: features as they are")
        ] = 0.5,
        shrink_variances: Annotated[
            float, Field(ge=0, le=1e9, description="their mean, times this, is added to the diagonal, twice")
        ] = 1.0,
        shrink_covariances: Annotated[
            float, Field(ge=0, le=1e9, description="their mean, times this, is added off the diagonal, twice")
        ] = 1.0,
    ) -> None:
        super().__init__()
        self.backbone_option, self.covariance, self.power = backbone, covariance, power
        self.shrink_variances, self.shrink_covariances = shrink_variances, shrink_covariances

    def begin(self, task: Task) -> None:
        """Build the backbone, freeze it from the second experience on; make room for the new classes."""
        if task.index == 0:
            self.backbone = build_backbone(self.backbone_option, task.shape, task.generator("backbone"))
            self.backbone.to(task.device)
            self.inputs = self.backbone.inputs(task.normalisation).to(task.device)
            width = self.backbone.features
            self.means = RunningMeans(width, task.device)
            self.transformed = RunningMeans(width, task.device)
            matrix = (width,) if self.covariance == "diagonal" else (width, width)
            rows = 1 if self.covariance == "common" else 0
            self.hold("scatter", torch.zeros(rows, *matrix, device=task.device), kind="statistics")
        else:
            self.backbone.requires_grad_(False)
        for means in (self.means, self.transformed):
            means.grow(task.seen_classes)
        if self.covariance != "common":
            new = task.seen_classes - len(self.scatter)
            self.scatter = torch.cat([self.scatter, self.scatter.new_zeros(new, *self.scatter.shape[1:])])
        self._factors = None

    def learn(self, task: Task, samples: Samples) -> None:
        """Train the backbone, if this is the first experience; add the samples to means and scatter."""
        if any(p.requires_grad for p in self.backbone.parameters()):
            self.train_backbone(task, samples)
        if task.dry:
            return  # all sums have their size already
        for batch in samples.batches(CHUNK):
            self.add(self.features(batch.x), batch.y)
        self._factors = None

    def train_backbone(self, task: Task, samples: Samples) -> None:
        """Minimise the cross-entropy of a linear head that lives as long as the experience."""

        def made() -> Head:
            head = Head(self.backbone.features)
            head.grow(task.seen_classes, task.generator("head"))
            return head.to(task.device)

        head = task.keep("head", made)

        def loss(batch: Samples) -> Tensor:
            scores = head(self.backbone(self.inputs(batch.x)))
            return F.cross_entropy(scores, batch.y, label_smoothing=task.training.label_smoothing)

        both = task.keep("trained", lambda: nn.ModuleList([self.backbone, head]))
        fit(both, samples, task, loss)

    def features(self, x: Tensor) -> Tensor:
        """Return backbone features ``[B, D]``."""
        return features_of(self.backbone, self.inputs, x)

    def add(self, features: Tensor, y: Tensor) -> None:
        """Add features ``[N, D]`` of the classes ``y`` to means and scatter, exactly (Chan et al., 1979)."""
        tukey = transformed(features, self.power)
        for c in torch.unique(y).tolist():
            part = tukey[y == c]
            mean, n, before = part.mean(0), len(part), self.transformed.counts[c]
            away, moved = part - mean, mean - self.transformed.rows[c]
            weight = before * n / (before + n)
            into = self.scatter[0 if self.covariance == "common" else c]
            if self.covariance == "diagonal":
                into += away.square().sum(0) + weight * moved.square()
            else:
                into += away.T @ away + weight * torch.outer(moved, moved)
        self.transformed.update(tukey, y)
        self.means.update(features, y)

    def covariances(self) -> Tensor:
        """Return unbiased covariances of transformed features: ``[C, D, D]``, one, or variances ``[C, D]``."""
        counts = self.means.counts
        freedom = counts - 1 if self.covariance != "common" else (counts.sum() - (counts > 0).sum())[None]
        return self.scatter / freedom.clamp(min=1).view(-1, *[1] * (self.scatter.ndim - 1))

    def predict(self, x: Tensor) -> Tensor:
        """Return minus the squared distance to each class, ``[B, classes]``."""
        if self._factors is None:
            self._factors = factors(self.covariances(), self.shrink_variances, self.shrink_covariances)
        features = F.normalize(transformed(self.features(x), self.power))
        means = F.normalize(transformed(self.means.rows, self.power))
        return -distances(features, means, self._factors).masked_fill(self.means.counts == 0, -UNSEEN)


def transformed(x: Tensor, power: float) -> Tensor:
    """Return Tukey's transformation ``sign(x) |x|^power``."""
    return x.sign() * x.abs() ** power


def factors(covariances: Tensor, variance: float, covariance: float) -> Tensor:
    """Return what the inverses of the shrunk correlations are made of: L with ``L L^T = S^-1``, S the correlation.

    Shrinking adds the mean of the diagonal to it, and the mean of the rest to the rest, twice.  Of a class
    without any variance S is the identity.

    Args:
        covariances: ``[C, D, D]``, or variances ``[C, D]``.
        variance: weight of the mean on the diagonal.
        covariance: weight of the mean off it.

    Returns:
        Of the shape and type of ``covariances``; of variances the roots of their inverses, scaled to a mean of 1.
    """
    c = covariances.double()
    if c.ndim == 2:
        for _ in range(2):
            c = c + variance * c.mean(1, keepdim=True)
        mean = c.mean(1, keepdim=True)
        return torch.where(c > 0, (mean / c).sqrt(), 1).to(covariances.dtype)
    d = c.shape[-1]
    same = torch.eye(d, dtype=c.dtype, device=c.device)
    for _ in range(2):
        on = c.diagonal(dim1=1, dim2=2)
        mean, rest = on.mean(1), (c.sum((1, 2)) - on.sum(1)) / max(d * (d - 1), 1)
        c = c + variance * mean[:, None, None] * same + covariance * rest[:, None, None] * (1 - same)
    varies = (c.diagonal(dim1=1, dim2=2) > 0).any(1)
    c = torch.where(varies[:, None, None], c, same)
    deviations = c.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()
    deviations = torch.where(deviations > 0, deviations, 1)
    values, vectors = torch.linalg.eigh(c / (deviations[:, :, None] * deviations[:, None, :]))
    small = values <= d * torch.finfo(c.dtype).eps * values.amax(1, keepdim=True)  # as a pseudo-inverse
    roots = torch.where(small, 0, values.clamp(min=torch.finfo(c.dtype).tiny).rsqrt())
    found: Tensor = (vectors * roots[:, None, :]).to(covariances.dtype)
    return found


def distances(features: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    """Return squared distances ``[B, C]`` of ``features`` ``[B, D]`` and ``means`` ``[C, D]``.

    ``factors`` are as of :func:`factors`: one for each class, or one for all.
    """
    if factors.ndim == 2:
        scaled = ((features - mean) * factor for mean, factor in zip(means, factors, strict=True))
        return torch.stack([away.square().sum(1) for away in scaled], 1)
    each = factors.expand(len(means), *factors.shape[1:])
    columns = [((features - mean) @ factor).square().sum(1) for mean, factor in zip(means, each, strict=True)]
    return torch.stack(columns, 1)
