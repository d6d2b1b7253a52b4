"""What samples go through before a backbone."""

import numpy as np
import pytest
import torch
from PIL import Image

from cl_engine.models.inputs import Inputs


def images(size, channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, channels, size, size), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "resolution"), [(8, 20), (20, 8)])
def test_resizing_is_that_of_pillow(size, resolution, interpolation):
    x, mean, deviation = images(size), (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    found = Inputs((mean, deviation), resolution, interpolation)(x)
    how = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[interpolation]
    for n in range(2):
        for channel in range(3):
            plane = Image.fromarray(x[n, channel].numpy().astype(np.float32))
            theirs = np.asarray(plane.resize((resolution, resolution), how)) / 255
            theirs = (theirs - mean[channel]) / deviation[channel]
            np.testing.assert_allclose(found[n, channel].numpy(), theirs, atol=1e-4)


def test_images_of_the_right_size_are_only_standardised():
    x = images(8)
    found = Inputs(((0.5,) * 3, (0.25,) * 3), 8)(x)
    torch.testing.assert_close(found, (x.float() / 255 - 0.5) / 0.25)


def test_features_stay_as_they_are():
    x = torch.rand(3, 5)
    assert torch.equal(Inputs(((0.5,), (0.25,)), 8)(x), x)
