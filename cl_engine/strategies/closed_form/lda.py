"""Linear discriminant analysis with one covariance, exact on any stream."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.closed_form.pooled import Pooled
from cl_engine.strategies.strategy import BudgetDecides


class LDA(Pooled):
    """Linear discriminant analysis on frozen features: Gaussians of one covariance, classes as frequent as seen.

    From the sums alone it equals the analysis of all samples at once, whatever the stream (scikit-learn's
    ``LinearDiscriminantAnalysis(solver="lsqr")`` with the same shrinkage).  The covariance within classes is shrunk
    towards its mean diagonal, since features that never vary leave it singular.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"

    def __init__(
        self,
        *,
        backbone: BackboneOption = "identity",
        shrinkage: Annotated[
            float, Field(gt=0, le=1, description="share of the mean diagonal in the covariance")
        ] = 1e-4,
    ) -> None:
        super().__init__(backbone)
        self.shrinkage = shrinkage

    def discriminants(self) -> tuple[Tensor, Tensor]:
        """Return the weights ``[D, C]`` and the biases ``[C]``, log priors in them."""
        number = self.counts.sum().clamp(min=1)
        covariance = self.sums.scatter() / number
        added = max(self.shrinkage * float(covariance.diagonal().mean()), 1e-12)
        weights, bias = self.discriminants_of(self.sums.means(), (1 - self.shrinkage) * covariance, added)
        return weights, bias + (self.counts.double() / number).clamp(min=1e-300).log()
