"""G-ACIL: a closed-form classifier that equals joint ridge regression, whatever the stream."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption, build_backbone
from cl_engine.models.extraction import features_of
from cl_engine.strategies.strategy import BudgetDecides, Strategy
from cl_engine.terms.task import Task

CHUNK = 4096  # rows projected at a time
TOLERANCE = 1e-8  # relative residual of the normal equations that counts as solved


class GACIL(Strategy):
    """G-ACIL (Zhuang et al., NeurIPS 2024): ridge regression on frozen random ReLU features, exact on any stream.

    Features are ``phi(x) = ReLU(A f(x))`` with a frozen backbone f and a random A that is regenerated from the
    seed and held by nobody.  The sums ``G = X'X`` and ``Q = Y'X`` over all samples so far are the whole state;
    ``W = (G + gamma I)^-1 Q'`` is solved when a prediction is asked for.  That is the accumulate-and-solve form of
    the paper's recursion (its theorem: both equal the joint solution); columns exist only for exposed classes, so
    an unexposed class is never predicted.  Everything is float64.

    The paper's backbone is a pre-trained DeiT-S/16 with 5,000 random features and gamma 100; the defaults here are
    smaller, and ``identity`` takes the samples as their own features.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    gram: Tensor
    cross: Tensor
    counts: Tensor
    projection: Tensor

    def __init__(
        self,
        *,
        backbone: BackboneOption = "identity",
        width: Annotated[
            int,
            Field(ge=0, description="random features (the papers' buffer size); 0: backbone features as they are"),
        ] = 1000,
        gamma: Annotated[float, Field(gt=0, description="ridge penalty, absolute")] = 0.1,
    ) -> None:
        super().__init__()
        self.backbone_option, self.width, self.gamma = backbone, width, gamma
        self._solved: Tensor | None = None

    def begin(self, task: Task) -> None:
        """Rebuild backbone and projection from the seed; add a row of Q per new class."""
        if task.index == 0:
            backbone = build_backbone(self.backbone_option, task.shape, task.generator("backbone"))
            self.backbone = backbone.requires_grad_(False).eval().to(task.device)
            self.inputs = backbone.inputs(None).to(task.device)
            inputs = backbone.features
            size = self.width or inputs
            if self.width:
                # Uniform in +-1/sqrt(inputs), as the released code; the paper's text says normal.
                drawn = torch.empty(inputs, size, dtype=torch.float64)
                drawn.uniform_(-(inputs**-0.5), inputs**-0.5, generator=task.generator("projection"))
                self.regenerable("projection", drawn.to(task.device))
            zeros = torch.zeros(size, size, dtype=torch.float64, device=task.device)
            self.hold("gram", zeros, kind="statistics")
            self.hold("cross", zeros[:0], kind="statistics")
            self.hold("counts", torch.zeros(0, dtype=torch.int64, device=task.device), kind="statistics")
        new = task.seen_classes - len(self.counts)
        self.cross = torch.cat([self.cross, self.cross.new_zeros(new, self.cross.shape[1])])
        self.counts = torch.cat([self.counts, self.counts.new_zeros(new)])
        self._solved = None

    def learn(self, task: Task, samples: Samples) -> None:
        """Add the samples to G, Q and the counts."""
        rows = samples.rows(slice(CHUNK))
        projected = len(rows) * len(self.gram) * self.gram.element_size()
        task.charge("batch", rows.numel() * rows.element_size() + projected)
        if task.dry:
            return  # the sums have their size already
        for batch in samples.batches(CHUNK):
            phi = self.features(batch.x)
            self.gram.addmm_(phi.T, phi)
            self.cross.index_add_(0, batch.y, phi)
        self.counts += torch.bincount(samples.y, minlength=len(self.counts))
        self._solved = None

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Return ``phi(x)``, float64 ``[B, d]``."""
        features = features_of(self.backbone, self.inputs, x).double()
        return (features @ self.projection).relu() if self.width else features

    def predict(self, x: Tensor) -> Tensor:
        """Return ridge scores ``[B, classes]``."""
        if self._solved is None:
            self._solved = self.weights()
        return self.features(x) @ self._solved

    def weights(self) -> Tensor:
        """Solve for W, float64 ``[d, classes]``; gamma grows tenfold, with a note, until the residual is small.

        Raises:
            FloatingPointError: no gamma helps.
        """
        target, gamma = self.cross.T, self.gamma
        while True:
            system = self.gram + gamma * torch.eye(len(self.gram), dtype=torch.float64, device=self.gram.device)
            factor, failed = torch.linalg.cholesky_ex(system)
            if not failed:
                weights = torch.cholesky_solve(target, factor)
                residual = torch.linalg.norm(system @ weights - target)
                if residual <= TOLERANCE * torch.linalg.norm(target):
                    return weights
            if gamma > 1e30:
                raise FloatingPointError("the ridge system cannot be solved; are the features finite?")
            gamma *= 10
            self.note(f"the normal equations are too ill-conditioned; gamma raised to {gamma:g}")
