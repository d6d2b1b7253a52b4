"""G-ACIL: a closed-form classifier that equals joint ridge regression, whatever the stream."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor
from typing_extensions import Unpack

from cl_engine.kinds.problems import OptionError
from cl_engine.strategies.closed_form.acil import ACIL, BufferOptions
from cl_engine.strategies.closed_form.analytic import GammaOption
from cl_engine.strategies.strategy import BudgetDecides


class GACIL(ACIL):
    """G-ACIL (Zhuang et al., NeurIPS 2024): ridge regression on frozen random ReLU features, exact on any stream.

    Features are ``phi(x) = ReLU(A f(x))`` with a frozen backbone f and a random A that is regenerated from the
    seed and held by nobody.  The sums ``G = X'X`` and ``Q = Y'X`` over all samples so far are the whole state;
    ``W = (G + gamma I)^-1 Q'`` is solved when a prediction is asked for.  That is the accumulate-and-solve form of
    the paper's recursion (its theorem: both equal the joint solution); columns exist only for exposed classes, so
    an unexposed class is never predicted.  Everything is float64.

    The paper's backbone is a pre-trained DeiT-S/16 with 5,000 random features and gamma 100; the defaults here are
    smaller, and ``identity`` takes the samples as their own features.

    ``ablate: eclg`` leaves out the paper's exposed-class label gain: labels of classes that an earlier delivery (an
    experience, online a micro-batch) has exposed are taken as zeros, while the features still enter G.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"

    def __init__(
        self,
        *,
        ablate: Annotated[
            Literal["eclg"] | None, Field(description="leave out the exposed-class label gain; null: nothing")
        ] = None,
        gamma: GammaOption = 0.1,
        **options: Unpack[BufferOptions],
    ) -> None:
        super().__init__(gamma=gamma, **options)
        self.ablate = ablate
        if ablate and self.storage == "smallest":
            raise OptionError("storage", "smallest beside ablate: eclg; allowed: full, packed, float32")

    def cannot_merge(self) -> str | None:
        """Which labels count depends on the order of samples."""
        return "ablate: eclg depends on their order; allowed: null" if self.ablate else super().cannot_merge()

    def labelled(self, y: Tensor, known: Tensor) -> Tensor | None:
        """Return which labels count; without the gain those of classes that are new."""
        return ~known[y] if self.ablate else None
