"""Stochastic gradient descent with momentum, as :class:`torch.optim.SGD` does it.

Making the first optimizer of ``torch.optim`` imports ``torch._dynamo``, which takes over a second in every process,
and its step spends several times what the update itself takes.  So this one calls the update alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class SGD:
    """``v = momentum v + g + weight_decay w``, then ``w -= lr v`` (or with Nesterov ``lr (g + momentum v)``).

    Args:
        groups: mappings with ``params`` and, where they differ, ``lr``, ``momentum``, ``weight_decay`` or
            ``nesterov``.
        lr: learning rate of the groups that have none of their own; the others likewise.

    Attributes:
        param_groups: the groups with every value filled in; ``lr`` may be changed between steps.
        state: the velocity ``v`` of every parameter that has moved; empty without momentum.

    >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
    >>> optimizer = SGD([{"params": [weight]}], lr=0.5, momentum=0.9, weight_decay=0.0, nesterov=False)
    >>> for _ in range(2):
    ...     weight.grad = torch.tensor([1.0])
    ...     optimizer.step()
    >>> weight.data  # 1 - 0.5 - 0.5 * 1.9
    tensor([-0.4500])
    """

    def __init__(
        self,
        groups: Sequence[Mapping[str, Any]],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        nesterov: bool,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        self.param_groups: list[dict[str, Any]] = [{**defaults, **group} for group in groups]
        self.state: dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            if not moved:
                continue
            velocities = [self._velocity_of(p) for p in moved] if group["momentum"] else []
            torch._fused_sgd_(
                moved,
                [p.grad for p in moved],
                velocities,
                weight_decay=group["weight_decay"],
                momentum=group["momentum"],
                lr=group["lr"],
                dampening=0.0,
                nesterov=group["nesterov"],
                maximize=False,
                is_first_step=False,  # a velocity of 0 makes the first step like any other
            )

    def _velocity_of(self, parameter: Tensor) -> Tensor:
        velocity = self.state.get(parameter)
        if velocity is None:
            velocity = self.state[parameter] = torch.zeros_like(parameter)
        return velocity
