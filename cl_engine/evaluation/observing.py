"""What is asked of a rebuilt strategy beside its scores: its features, their fixed directions, its branches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cl_engine.data.samples import Inputs
from cl_engine.memory.ledger import MemoryContractError
from cl_engine.metrics.similarity import LEAST, batches, u_centred
from cl_engine.models.anatomy import branches_of
from cl_engine.models.heads import SimplexHead
from cl_engine.randomness import isolated

FEATURES, VERTICES, BRANCHES, FLOPS = "features", "vertices", "branches", "flops"
STORED, RENEWED = "stored", "renewed"  # of a retrieval service
BATCH = 1024  # samples whose features are made at once
BRANCH_BATCH = 128  # samples of a mini-batch of CKA between branches

Represent = Callable[[Tensor], Tensor]


class RepresentationError(MemoryContractError):
    """A strategy's features are none."""


def representation(strategy: nn.Module) -> Represent | None:
    """Return what maps raw samples ``[B, ...]`` to features ``[B, D]``; None where nothing does.

    That is the strategy's own method ``features``, or that of the first of its modules which has one.
    """
    found = (getattr(module, "features", None) for module in (strategy, *strategy.children()))
    return next((features for features in found if callable(features)), None)


def vertices_of(strategy: nn.Module) -> Tensor | None:
    """Return the vertices of the fixed simplex that the classes seen have, ``[C, D]``; None where there is none."""
    heads = (module for module in strategy.modules() if isinstance(module, SimplexHead))
    return next((head.vertices[: head.classes] for head in heads), None)


@torch.no_grad()
def observe(strategy: nn.Module, what: str, x: Inputs, device: torch.device) -> dict[str, Tensor]:
    """Return what was asked for: of ``branches`` it is ``hsic``, of all others their own name.

    ``features`` are ``[N, D]``, ``vertices`` the fixed directions of the classes seen ``[C, D]``, ``hsic`` float64
    ``[layers, t, t]``.  ``flops`` are those of the features of one sample: two for each multiplication of
    convolutions and matrix products, and nothing of what is done value by value.

    ``stored`` ``[N, W]`` are what a service stores of samples, as the strategy's method of this name says, or its
    features.  ``renewed`` ``[N, W']`` are what its method ``renewed`` makes of what was stored under the model
    before, and ``uncertainty`` ``[N]`` beside it where there is one.

    Args:
        strategy: a rebuilt one, which is thrown away afterwards.
        what: ``features``, ``vertices``, ``branches``, ``flops``, ``stored`` or ``renewed``.
        x: samples ``[N, ...]``, or what was stored of some, ``[N, W]``; the strategy gets copies.
        device: where the strategy lives.

    Raises:
        RepresentationError: the strategy has no features, or they are no finite numbers ``[N, D]``.
    """
    strategy.eval()
    if what == VERTICES:
        vertices = vertices_of(strategy)
        return {"vertices": torch.zeros(0, 0) if vertices is None else vertices.detach().cpu()}
    represent = representation(strategy)
    if what in (STORED, RENEWED):
        represent = getattr(strategy, what, represent)
    if represent is None:
        raise RepresentationError(f"{type(strategy).__name__} has no features")
    with isolated(0, "observe"):
        if what == BRANCHES:
            return {"hsic": branch_hsic(strategy, represent, x, device)}
        if what == FLOPS:
            (one, *_) = x.split(1)
            with FlopCounterMode(display=False) as counter:
                represent(one.to(device, copy=True))
            return {"flops": torch.tensor(counter.get_total_flops())}
        parts = [_parts(represent(part.to(device, copy=True))) for part in x.split(BATCH)]
    features, *others = (torch.cat(rows) for rows in zip(*parts, strict=True))
    if features.ndim != 2 or len(features) != len(x) or not torch.isfinite(features).all():
        name = type(strategy).__name__
        raise RepresentationError(
            f"the features of {name} are {list(features.shape)} for {len(x)} samples, or not finite; "
            "allowed: [N, D]"
        )
    return {what: features, **({"uncertainty": others[0]} if others else {})}


def _parts(made: Tensor | tuple[Tensor, Tensor | None]) -> list[Tensor]:
    """Return what a strategy made, on the CPU: vectors, and perhaps how far off they are."""
    parts = (made,) if isinstance(made, Tensor) else made
    return [part.detach().cpu() for part in parts if part is not None]


def branch_hsic(strategy: nn.Module, represent: Represent, x: Inputs, device: torch.device) -> Tensor:
    """Return HSIC_1 of the linear kernels of every two branches, summed over mini-batches: ``[layers, t, t]``.

    A layer is the output of a stage of the branches; of an image's feature map all values.  One forward pass; the
    kernels of a branch are made as its output appears, so that no feature map is kept.

    Args:
        strategy: with t branches.
        represent: runs it.
        x: samples, at least four; else the sums are 0.
        device: where the strategy lives.
    """
    branches = branches_of(strategy)
    layers = min(map(len, branches))
    total = torch.zeros(layers, len(branches), len(branches), dtype=torch.float64)
    if len(x) < LEAST:
        return total
    rows = torch.cat([*x.split(BATCH)])
    for part in torch.split(rows, batches(len(rows), BRANCH_BATCH)):
        kernels = _kernels([branch[-layers:] for branch in branches], represent, part.to(device, copy=True))
        flat = kernels.flatten(2)  # [layers, t, n * n]
        n = len(part)
        total += (flat @ flat.mT / (n * (n - 3))).cpu()
    return total


def _kernels(branches: list[list[nn.Module]], represent: Represent, x: Tensor) -> Tensor:
    """Return the U-centred linear kernels of all layers and branches, float64 ``[layers, t, n, n]``."""
    found: dict[tuple[int, int], Tensor] = {}
    waiting: dict[tuple[int, int], list[Tensor]] = {}

    def look(place: tuple[int, int], output: Any) -> None:
        parts = waiting.setdefault(place, [])
        parts.append(output.flatten(1))
        if sum(map(len, parts)) == len(x):  # features may be made in several parts
            features = torch.cat(waiting.pop(place))
            about = (features - features.mean(0)).float()  # what is common to all samples only costs digits
            found[place] = u_centred((about @ about.T).double())

    hooks = [
        stage.register_forward_hook(lambda _, __, output, place=(layer, t): look(place, output))
        for t, branch in enumerate(branches)
        for layer, stage in enumerate(branch)
    ]
    try:
        represent(x)
    finally:
        for hook in hooks:
            hook.remove()
    zeros = torch.zeros(len(x), len(x), dtype=torch.float64, device=x.device)  # of a branch that did not run
    places = [[found.get((layer, t), zeros) for t in range(len(branches))] for layer in range(len(branches[0]))]
    return torch.stack([torch.stack(row) for row in places])
