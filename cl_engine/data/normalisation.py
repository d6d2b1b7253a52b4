"""Mean and deviation of images, per channel."""

from __future__ import annotations

import torch

from cl_engine.data.samples import Samples

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation, one number per channel
ROWS = 4096  # images looked at at a time


def normalisation(samples: Samples) -> Normalisation:
    """Return mean and standard deviation of each channel of uint8 images, as values in 0..1.

    A channel that never changes has deviation 1.

    >>> x = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    >>> normalisation(Samples(x, torch.zeros(2, dtype=torch.int64)))
    ((0.5,), (0.5,))
    """
    channels = samples.x.shape[1]
    total, squares = torch.zeros(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)
    for part in torch.split(samples.x, ROWS):
        values = part.transpose(0, 1).flatten(1).double()
        total += values.sum(1)
        squares += values.square().sum(1)
    count = samples.x.numel() / channels
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    deviation = torch.where(deviation > 0, deviation, 255.0)
    return tuple((mean / 255).tolist()), tuple((deviation / 255).tolist())
