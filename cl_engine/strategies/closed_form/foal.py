"""F-OAL: online analytic learning on sigmoid random features."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from typing_extensions import Unpack

from cl_engine.strategies.closed_form.acil import ACIL, BufferOptions
from cl_engine.strategies.closed_form.analytic import GammaOption
from cl_engine.strategies.strategy import BudgetDecides


class FOAL(ACIL):
    """F-OAL (Zhuang et al., NeurIPS 2024): ridge regression on ``sigmoid(f(x) A)``, for streams seen once.

    The paper's backbone is a ViT-B/16 whose blocks' class tokens are averaged and normalised; here f is whatever
    ``backbone`` says.  Width 1,000 and gamma 1 are the paper's.  Its released code drops the last incomplete batch
    and predicts in float32; here every sample counts and everything is float64.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"

    def __init__(self, *, gamma: GammaOption = 1.0, **options: Unpack[BufferOptions]) -> None:
        super().__init__(gamma=gamma, **options)

    def activation(self, projected: Tensor) -> Tensor:
        """Return what follows the projection."""
        return projected.sigmoid()
