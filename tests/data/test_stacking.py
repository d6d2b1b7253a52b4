"""Pictures of any mode as one tensor."""

import numpy as np
import pytest
import torch
from PIL import Image

from cl_engine.data.samples import DataError
from cl_engine.data.stacking import of_one_depth, stacked

GREY, COLOUR = Image.new("L", (4, 3), 9), Image.new("RGB", (4, 3), (1, 2, 3))


def test_grey_stays_grey_and_becomes_colour_beside_colour():
    assert stacked([GREY, GREY], 2, None).shape == (2, 1, 3, 4)
    for order in ([GREY, COLOUR], [COLOUR, GREY]):
        both = stacked(order, 2, None)
        assert both.shape == (2, 3, 3, 4)
        assert sorted(map(tuple, both[:, :, 0, 0].tolist())) == [(1, 2, 3), (9, 9, 9)]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_every_mode_is_made_grey_or_colour(mode):
    assert stacked([Image.new(mode, (2, 2))], 1, None).shape[1] in (1, 3)


def test_sixteen_bit_greys_keep_their_high_byte():
    grey = np.array([[0, 255, 256], [16_000, 48_000, 65_535]], dtype=np.uint16)
    assert stacked([Image.fromarray(grey)], 1, None)[0, 0].tolist() == [[0, 0, 1], [62, 187, 255]]


def test_pixels_lie_where_they_did():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(stacked([Image.fromarray(pixels)], 1, None)[0].permute(1, 2, 0).numpy(), pixels)


def test_no_picture_at_all_is_an_error():
    with pytest.raises(DataError, match="there is no picture"):
        stacked([], 0, None)


def test_two_parts_get_one_depth():
    grey, colour = torch.ones(2, 1, 2, 2, dtype=torch.uint8), torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    wide, same = of_one_depth(grey, colour)
    assert wide.shape == (2, 3, 2, 2)
    assert same is colour
    assert of_one_depth(grey, grey)[0] is grey
