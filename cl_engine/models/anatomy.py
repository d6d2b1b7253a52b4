"""The parts of a strategy's network that analyses tell apart: blocks in depth, branches side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from torch import nn

from cl_engine.models.backbone import Backbone
from cl_engine.models.branched import Branches, Stages


def blocks_of(strategy: nn.Module) -> dict[str, nn.Module]:
    """Return the blocks of a strategy's backbone by name, in the order of their depth.

    A stage is a block, ``stage 1``; one that consists of residual blocks is as many, ``stage 2.1``, ``stage 2.2``.
    Of branches the newest one has the plain names, ``stage 4.1``, and an older one ``stage 4.1 of branch 1``; with
    several backbones each has its number in front.  A strategy that has ``named_blocks()``, which returns modules
    by name, says itself what its blocks are.

    >>> from torch import device, Generator
    >>> from cl_engine.models.network import Network
    >>> list(blocks_of(Network("resnet14", (3, 8, 8), Generator(), device("cpu"))))
    ['stage 1', 'stage 2.1', 'stage 2.2', 'stage 3.1', 'stage 3.2', 'stage 4.1', 'stage 4.2']
    """
    own = getattr(strategy, "named_blocks", None)
    if callable(own):
        named: Mapping[str, nn.Module] = own()
        return dict(named)
    backbones = [part for part in strategy.modules() if isinstance(part, Backbone)]
    return {
        name if len(backbones) == 1 else f"network {number} {name}": block
        for number, backbone in enumerate(backbones, start=1)
        for name, block in _blocks(backbone.stages, 1)
    }


def learning_blocks(strategy: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Return the parameters that take a gradient of each block that has some."""
    found = {
        name: [p for p in block.parameters() if p.requires_grad] for name, block in blocks_of(strategy).items()
    }
    return {name: parameters for name, parameters in found.items() if parameters}


def branches_of(strategy: nn.Module) -> list[list[nn.Module]]:
    """Return the branches of an expandable strategy, the oldest first, each as its stages; none where it has none.

    A strategy that has ``named_branches()``, which returns modules by name, says itself what its branches are.
    """
    own = getattr(strategy, "named_branches", None)
    if callable(own):
        named: Mapping[str, nn.Module] = own()
        return [stages_of(branch) for branch in named.values()]
    found = [part for part in strategy.modules() if isinstance(part, Branches)]
    return [stages_of(branch) for branches in found for branch in branches]


def stages_of(branch: nn.Module) -> list[nn.Module]:
    """Return the stages that a branch consists of."""
    return list(branch) if isinstance(branch, Stages) else [branch]


def _blocks(stages: Iterable[nn.Module], first: int) -> Iterator[tuple[str, nn.Module]]:
    for number, stage in enumerate(stages, start=first):
        if isinstance(stage, Branches):
            *older, newest = stage
            yield from _blocks(stages_of(newest), number)
            for place, branch in enumerate(older, start=1):
                for name, block in _blocks(stages_of(branch), number):
                    yield f"{name} of branch {place}", block
        elif len(parts := _composed_of(stage)) > 1:
            for place, part in enumerate(parts, start=1):
                yield f"stage {number}.{place}", part
        else:
            yield f"stage {number}", stage


def _composed_of(stage: nn.Module) -> Sequence[nn.Module]:
    """Return the parts with weights of a stage that consists of nothing but modules of several layers."""
    parts = [part for part in stage.children() if any(True for _ in part.parameters())]
    whole = isinstance(stage, nn.Sequential) and all(any(True for _ in part.children()) for part in parts)
    return parts if whole else []
