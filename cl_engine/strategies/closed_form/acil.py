"""ACIL: class-incremental learning that equals joint ridge regression."""

from __future__ import annotations

from typing import ClassVar, TypedDict

from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.closed_form.analytic import Analytic, GammaOption, Storage
from cl_engine.strategies.closed_form.backend import Solver
from cl_engine.strategies.closed_form.buffer import ProjectionOption, WidthOption
from cl_engine.strategies.strategy import BudgetDecides


class BufferOptions(TypedDict, total=False):
    """All options of :class:`ACIL` but gamma, whose default differs."""

    backbone: BackboneOption
    width: WidthOption
    projection: ProjectionOption
    solver: Solver
    storage: Storage


class ACIL(Analytic):
    """ACIL (Zhuang et al., NeurIPS 2022): ridge regression on frozen random ReLU features, phase after phase.

    Features are ``phi(x) = ReLU(f(x) A)`` with a frozen backbone f and a random A, uniform as in the released code.
    The paper trains f on the base classes, has 8,192 random features (16,384 on ImageNet) and, as its code, gamma
    0.1; here f is given, frozen or ``pretrained``, and the width is smaller by default.  The paper's recursion
    assumes phases of disjoint classes; where classes return this is G-ACIL, as it is in the released code.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"

    def __init__(
        self,
        *,
        backbone: BackboneOption = "identity",
        width: WidthOption = 1000,
        gamma: GammaOption = 0.1,
        projection: ProjectionOption = None,
        solver: Solver = "auto",
        storage: Storage = "full",
    ) -> None:
        super().__init__(backbone, width, gamma, projection, solver, storage)
