"""What comes out of every stage of a backbone, for distillation within it."""

from __future__ import annotations

from torch import Tensor, nn

from cl_engine.models.network import Network


def features_and_maps(network: Network, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Map raw samples ``[B, ...]`` to features ``[B, D]`` and the output of each stage, the first stage's first.

    Outputs are maps ``[B, C, H, W]``, the last one before it is pooled; a stage without any, such as a layer of
    a perceptron, gives its vectors ``[B, D]``.  With gradients where they are enabled, in the network's own mode.

    >>> import torch
    >>> network = Network("resnet14", (3, 8, 8), torch.Generator().manual_seed(0), torch.device("cpu"))
    >>> features, maps = features_and_maps(network, torch.zeros(2, 3, 8, 8))
    >>> [list(m.shape) for m in maps], list(features.shape)
    ([[2, 16, 8, 8], [2, 16, 8, 8], [2, 32, 4, 4], [2, 64, 2, 2]], [2, 64])
    """
    *stages, last = network.backbone.stages
    plain = isinstance(last, nn.Sequential) and type(last).forward is nn.Sequential.forward
    x, maps = network.inputs(x), []
    for stage in stages:
        x = stage(x)
        maps.append(x)
    unpooled = None
    for layer in last.children() if plain else [last]:
        x = layer(x)
        unpooled = x if x.ndim == 4 else unpooled
    return x, [*maps, x if unpooled is None else unpooled]
