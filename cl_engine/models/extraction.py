"""Features of many samples, without gradients, as fast as is faithful.

In evaluation mode a batch norm after a convolution is one more factor and bias of it.  Folded in, with channels
last and in batches that the cache holds, frozen features come several times as fast on a CPU as in batches of a
thousand, and move by a few millionths of themselves.
"""

from __future__ import annotations

import copy
import itertools
import math
from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from cl_engine.models.backbone import Backbone
from cl_engine.models.inputs import Inputs

VALUES, FEWEST = 2**19, 16  # floats that go into the backbone at once, for the cache; images, at the least
WORTH_FOLDING = 256  # samples from which on a folded copy pays
OWN = ("torch.", "cl_engine.")  # whose convolutions do nothing to their weights

Precision = Literal["float32", "bf16"]


def features_of(
    backbone: Backbone,
    inputs: Inputs,
    x: Tensor,
    batch_size: int | None = None,
    precision: Precision = "float32",
) -> Tensor:
    """Return the features of raw samples, ``[N, D]``; the backbone is taken as it is in evaluation mode.

    Args:
        backbone: frozen or not; its mode is left alone, so it has to be in evaluation mode.
        inputs: maps raw samples to what it takes.
        x: uint8 images ``[N, C, H, W]`` or float32 features ``[N, D]``, on any device.
        batch_size: how many at a time; None: as many as there is cache for.
        precision: ``bf16`` computes in bfloat16 (autocast), which moves the features of some networks by a tenth.

    >>> from cl_engine.models.backbone import build_backbone
    >>> backbone = build_backbone("resnet14", (3, 8, 8), torch.Generator().manual_seed(0)).eval()
    >>> features_of(backbone, Inputs(), torch.zeros(5, 3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([5, 64])
    """
    device = next(itertools.chain(backbone.parameters(), backbone.buffers()), x).device
    frozen = not any(p.requires_grad for p in backbone.parameters())
    fold = frozen and x.ndim == 4 and len(x) >= WORTH_FOLDING
    if fold:
        backbone = _folded(backbone)
    autocast = torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()
    parts = []
    with torch.inference_mode():
        for part in torch.split(x, batch_size or _batch_size(inputs, x)):
            ready = inputs(part.to(device))
            if fold:
                ready = ready.contiguous(memory_format=torch.channels_last)
            with autocast:
                parts.append(backbone(ready))
    features = torch.cat(parts).to(x.device)  # joined out here, where gradients may come from it
    return features.float() if precision == "bf16" else features


def _batch_size(inputs: Inputs, x: Tensor) -> int:
    size = x.shape[2:] if inputs.resolution is None else (inputs.resolution, inputs.resolution)
    return max(FEWEST, VALUES // max(math.prod((x.shape[1], *size)), 1))


def _folded(backbone: Backbone) -> Backbone:
    """Return a copy whose batch norms are folded into the convolutions before them, channels last."""
    made = copy.deepcopy(backbone)
    for part in made.modules():
        if type(part).forward is not nn.Sequential.forward:
            continue  # whether one follows the other is for its own forward to say
        for first, second in itertools.pairwise([*part._modules]):
            convolution, norm = part._modules[first], part._modules[second]
            own = isinstance(convolution, nn.Conv2d) and type(convolution).__module__.startswith(OWN)
            if own and type(norm) is nn.BatchNorm2d and not norm.training:
                _fold(convolution, norm)
                part._modules[second] = nn.Identity()
    return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fold(convolution: Any, norm: Any) -> None:
    mean, variance = norm.running_mean, norm.running_var
    folded = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, mean, variance, norm.eps, norm.weight, norm.bias
    )
    for name, value in zip(("weight", "bias"), folded, strict=True):
        convolution._parameters.pop(name, None)
        convolution._buffers[name] = value.detach()
