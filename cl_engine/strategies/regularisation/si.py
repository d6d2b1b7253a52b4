"""Synaptic intelligence: what the loss fell by, weight by weight."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.regularisation.anchored import Anchored, trained
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class SI(Anchored):
    """Synaptic intelligence (SI; Zenke et al., ICML 2017).

    The loss is ``CE + strength * sum_j Omega_j (theta_j - theta*_j)^2``.  While it trains, ``omega_j`` adds up
    ``-g_j d_j``: g is the gradient of the cross-entropy alone, before clipping, d the step that the optimizer took,
    momentum and weight decay included.  After an experience Omega grows by ``max(omega, 0) / (D^2 + damping)``, D
    the way from where the weight was when the experience began.

    The authors' code cuts off the sum of old and new importance at 0 instead of each experience's.  Avalanche uses
    the gradient of the whole loss and caps importance at 0.001; neither is done here.  Their strength is 0.1, at
    which hardly anything is kept at the default learning rate here.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        strength: Annotated[
            float,
            Field(ge=0, allow_inf_nan=False, description="weight of the penalty, c; a large one needs a small lr"),
        ] = 1.0,
        damping: Annotated[
            float, Field(gt=0, allow_inf_nan=False, description="xi, keeps weights that hardly moved from counting")
        ] = 0.1,
    ) -> None:
        super().__init__(backbone=backbone, strength=strength)
        self.damping = damping

    def learn(self, task: Task, samples: Samples) -> None:
        """Minimise the loss and follow the path that the weights take."""
        path, weights = self._path(task), trained(self.network)

        @torch.no_grad()
        def before_step() -> None:
            path.leave(weights, {n: p.grad - self.pull(n, p) for n, p in weights.items() if p.grad is not None})

        fit(
            self.network,
            samples,
            task,
            self.loss,
            before_step=before_step,
            after_step=partial(path.arrive, weights),
        )

    def pull(self, name: str, weight: Tensor) -> Tensor:
        """Return the part of the loss's gradient by a weight that comes from the penalty, of its shape."""
        return 2 * self.strength * self.importance[name] * (weight - self.anchor[name])

    @torch.no_grad()
    def end(self, task: Task) -> None:
        """Add what the path says to the importance; move the anchor to where the weights are."""
        path = self._path(task)
        for name, weight in trained(self.network).items():
            way = (weight - path.start[name]).square()
            self.importance[name].add_(path.fell[name].clamp(min=0) / (way + self.damping))
            self.anchor[name].copy_(weight)

    def _path(self, task: Task) -> Path:
        return task.keep("path", lambda: Path(trained(self.network)))


class Path:
    """What the weights went through since an experience began; all by name and of a weight's shape.

    Attributes:
        start: where they were then.
        last: where they are before a step.
        slope: the gradient of the cross-entropy there.
        fell: omega, what each weight made the loss fall by.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.start = {name: weight.detach().clone() for name, weight in weights.items()}
        self.last = {name: weight.detach().clone() for name, weight in weights.items()}
        self.slope = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        self.fell = {name: torch.zeros_like(weight) for name, weight in weights.items()}

    @torch.no_grad()
    def leave(self, weights: Mapping[str, Tensor], slopes: Mapping[str, Tensor]) -> None:
        """Note where a step begins, and the slopes there; a weight without one has none."""
        for name, weight in weights.items():
            self.last[name].copy_(weight)
            if name in slopes:
                self.slope[name].copy_(slopes[name])
            else:
                self.slope[name].zero_()

    @torch.no_grad()
    def arrive(self, weights: Mapping[str, Tensor]) -> None:
        """Add up what a step made the loss fall by, to first order."""
        for name, weight in weights.items():
            self.fell[name].sub_(self.slope[name] * (weight - self.last[name]))
