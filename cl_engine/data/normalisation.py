"""Mean and deviation of images, per channel."""

from __future__ import annotations

import torch

from cl_engine.data.samples import Samples

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation, one number per channel


def normalisation(samples: Samples) -> Normalisation:
    """Return mean and standard deviation of each channel of uint8 images, as values in 0..1.

    A channel that never changes has deviation 1.

    >>> x = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    >>> normalisation(Samples(x, torch.zeros(2, dtype=torch.int64)))
    ((0.5,), (0.5,))
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    counts = samples.histogram().double()
    share = counts / counts.sum(1, keepdim=True)
    mean = share @ values
    deviation = (share * (values - mean[:, None]).square()).sum(1).sqrt()
    return tuple(mean.tolist()), tuple(torch.where(deviation > 0, deviation, 1.0).tolist())
