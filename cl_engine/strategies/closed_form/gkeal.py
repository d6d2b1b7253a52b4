"""GKEAL: analytic learning on Gaussian kernels around features of the first samples."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.kinds.signature import ExistingFile
from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.closed_form.analytic import Analytic, GammaOption, Storage
from cl_engine.strategies.closed_form.backend import Solver
from cl_engine.strategies.closed_form.buffer import array_of
from cl_engine.strategies.on_features import CHUNK
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class GKEAL(Analytic):
    """GKEAL (Zhuang et al., CVPR 2023): ridge regression on kernels, ``exp(-||f(x) - c||^2 / (2 sigma^2))``.

    Centres c are features of samples of the first delivery (the first experience, online its first micro-batch),
    drawn without replacement; where these are fewer, the rest are random convex mixes of them.  They are held
    and, being features of samples, stand in the ledger as exemplars.  The released code takes the first samples
    instead of a draw, and mixes with weights that may be negative and huge.  Like it, this leaves out the
    paper's augmented copies of few-shot images.

    sigma is a length in the space of features, so no number suits every backbone: 10, the released code's, was
    chosen for its own.  The default, ``median``, is ours: the median distance of the features that centres are
    drawn from (the usual heuristic of kernel methods), worked out once and held.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    centres: Tensor
    bandwidth: Tensor

    def __init__(
        self,
        *,
        backbone: BackboneOption = "identity",
        width: Annotated[int, Field(ge=1, le=10**6, description="centres to draw")] = 512,
        centres: Annotated[
            str | None,
            ExistingFile(),
            Field(description="a .npz file with `centres` [width, features] instead of drawn ones"),
        ] = None,
        sigma: Annotated[
            Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["median"],
            Field(description="width of the kernels, in units of features; the released code's is 10"),
        ] = "median",
        gamma: GammaOption = 0.1,
        solver: Solver = "auto",
        storage: Storage = "full",
    ) -> None:
        super().__init__(backbone, width, gamma, None, solver, storage)
        self.centres_file, self.sigma = centres, sigma

    def build(self, task: Task) -> int:
        """Read the centres or make room for them; return how many there are."""
        if self.centres_file is not None:
            centres = array_of(self.centres_file, "centres", self.inputs_width, 1)
        else:
            centres = torch.zeros(self.width, self.inputs_width)
        self.hold("centres", centres.to(task.device), kind="exemplars")
        sigma = median_distance(centres) if self.sigma == "median" else self.sigma
        self.hold("bandwidth", torch.tensor(sigma, dtype=torch.float64, device=task.device), kind="statistics")
        return len(centres)

    def learn(self, task: Task, samples: Samples) -> None:
        """Draw the centres, if nothing was seen before; then add the samples to the sums."""
        if self.centres_file is None and not bool(self.counts.any()):
            task.charge("features for centres", 4 * len(samples) * self.inputs_width)
            if not task.dry:
                parts = [self.backbone_features(batch.x).float() for batch in samples.batches(CHUNK)]
                self.centres = drawn_centres(torch.cat(parts), self.width, task.generator("centres"))
                if len(samples) < self.width:
                    self.note(
                        f"samples that its {self.width:,} centres are drawn from and mixed of: {len(samples):,}; "
                        "centres: FILE, or a larger stream.micro_batch, gives it better ones"
                    )
                if self.sigma == "median":  # of what was drawn; mixes lie close together
                    self.bandwidth.fill_(median_distance(self.centres[: len(samples)]))
        super().learn(task, samples)
        if task.dry:
            self.counts += torch.bincount(samples.y, minlength=len(self.counts))

    def cannot_merge(self) -> str | None:
        """Drawn centres are samples, and those that others would not have drawn."""
        if self.centres_file is None:
            return "its centres were drawn from the first samples; allowed: centres: FILE"
        return super().cannot_merge()

    def expand(self, features: Tensor) -> Tensor:
        """Map the backbone's features ``[B, D]`` to one kernel a centre, ``[B, d]``."""
        centres = self.centres.double()
        squares = features.square().sum(1)[:, None] + centres.square().sum(1)
        return ((squares - 2 * features @ centres.T).clamp(min=0) / (-2 * self.bandwidth**2)).exp()


def drawn_centres(features: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return ``count`` of the features ``[N, D]``, drawn without replacement; what is missing are convex mixes.

    >>> drawn_centres(torch.ones(2, 3), 4, torch.Generator().manual_seed(0)).shape
    torch.Size([4, 3])
    """
    order = torch.randperm(len(features), generator=generator).to(features.device)
    chosen = features[order[:count]]
    shares = torch.rand(count - len(chosen), len(features), generator=generator).to(features.device)
    return torch.cat([chosen, shares @ features / shares.sum(1, keepdim=True)])


def median_distance(features: Tensor, of: int = 1000) -> float:
    """Return the median distance between any two of the first ``of`` features ``[N, D]``; 1 if none is above 0.

    >>> median_distance(torch.tensor([[0.0], [1.0], [3.0]]))
    2.0
    """
    distances = torch.nn.functional.pdist(features[:of].double())
    distances = distances[distances > 0]
    return float(distances.median()) if len(distances) else 1.0
