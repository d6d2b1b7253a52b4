"""LCE: learning compatible embeddings, classes aligned with their old centres and kept within old bounds."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.metrics.nearest import fitted
from cl_engine.strategies.stationary.er import EROptions
from cl_engine.strategies.stationary.succeeding import Succeeding
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class LCE(Succeeding):
    """LCE (Meng et al., ICCV 2021), its direct form: ``CE + alignment * align + boundary * bound``.

    The model before embeds samples and exemplars once, when the experience begins; this gives each class a centre
    C and a bound b, the least cosine of one of its samples with C.  The classifier's rows are aligned with the
    centres, and no sample shall be further from its centre than the old ones were (:func:`lce_terms`).  Weights are
    100 and 1, as in the released code.

    There the classifier is ArcFace, on features of length 1, and centres are of all samples in two views, an image
    and its mirror.  Here it is that of ``er``, features have length 1 in the two terms alone, and there is one
    view.  The transformations for spaces that differ are left out: where a received model has features of another
    width, its first values are compared, or zeros stand after them, as in ``bct``.  Online the centres are of the
    exemplars and the first micro-batch, and a class without one has no part in the two terms.

    A centre and a bound for each class exist only while an experience is learned.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        alignment: Annotated[
            float, Field(ge=0, le=1e9, description="weight of the classifier's distance from the old centres")
        ] = 100.0,
        boundary: Annotated[
            float, Field(ge=0, le=1e9, description="weight of what samples are outside of the old bounds")
        ] = 1.0,
        **options: Unpack[EROptions],
    ) -> None:
        super().__init__(**options)
        self.alignment, self.boundary = alignment, boundary

    def train_on(self, task: Task, samples: Samples) -> None:
        """Train within the classes as the model before has them."""
        loss = self.loss
        if task.index:
            centres, bounds = self.old_bounds(task, samples, share=1.0)
            loss = partial(self.aligned, centres=centres, bounds=bounds)
        fit(self.network, samples, task, loss, memory=self.memory, mix=self.mix)

    def aligned(self, batch: Samples, centres: Tensor, bounds: Tensor) -> Tensor:
        """Return ``CE + alignment * align + boundary * bound``, a scalar.

        Args:
            batch: new samples and exemplars.
            centres: of the classes by the model before, ``[C, D]``.
            bounds: likewise, ``[C]``.
        """
        features = self.embedded(self.network, batch.x)
        loss = self.classified(features, batch.y)
        terms = lce_terms(features, self.network.head.weight, centres, bounds, batch.y)
        return loss + self.alignment * terms.align + self.boundary * terms.bound


class Terms(NamedTuple):
    """Two scalars; see :func:`lce_terms`."""

    align: Tensor
    bound: Tensor


def lce_terms(features: Tensor, weight: Tensor, centres: Tensor, bounds: Tensor, y: Tensor) -> Terms:
    """Return ``align``, the mean square of ``unit(W) - C``, and ``bound``, the mean of ``max(0, b - cos(h, C))``.

    The first mean is over all entries of classes that have a centre, the second one over their samples, each with
    its own class's b and C; either is 0 over nothing.

    Args:
        features: h, ``[B, D']`` of the new model; their first values, or zeros after them, are compared.
        weight: W, the classifier ``[C, D']``, likewise.
        centres: C, unit vectors ``[C, D]``, constants.
        bounds: b, ``[C]``, constants; infinite of a class without a centre.
        y: int64 ``[B]``.

    >>> import torch
    >>> lce_terms(torch.tensor([[3.0, 4.0]]), 2 * torch.eye(2), torch.eye(2), torch.ones(2), torch.tensor([0]))
    Terms(align=tensor(0.), bound=tensor(0.4000))
    """
    known, width = bounds.isfinite(), centres.shape[1]
    apart = (F.normalize(fitted(weight, width)) - centres.detach()).square().mean(1)
    inside = (F.normalize(fitted(features, width)) * centres.detach()[y]).sum(1)
    outside = (bounds.where(known, 0)[y] - inside).clamp(min=0)
    return Terms(_mean(apart, known), _mean(outside, known[y]))


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    return (values * counted).sum() / counted.sum().clamp(min=1)
