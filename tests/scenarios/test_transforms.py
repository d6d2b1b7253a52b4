from __future__ import annotations

import pytest
import torch

from cl_engine.scenarios.transforms import IMAGES_AT_ONCE, apply

IMAGES = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
FEATURES = torch.rand(5, 12, generator=torch.Generator().manual_seed(0))
PERMUTATION = {"kind": "permutation", "seed": 7}


def test_identity():
    assert apply({"kind": "identity"}, IMAGES) is IMAGES


def test_a_permutation_moves_pixels_and_shares_them_between_channels():
    grey = IMAGES[:, :1].repeat(1, 3, 1, 1)
    moved = apply(PERMUTATION, grey)
    assert moved.shape == grey.shape
    assert moved.dtype == torch.uint8
    assert (moved[:, 0] == moved[:, 2]).all()
    assert not (moved == grey).all()
    assert (moved.flatten(2).sort().values == grey.flatten(2).sort().values).all()


def test_a_permutation_of_features_moves_columns():
    moved = apply(PERMUTATION, FEATURES)
    assert moved.dtype == FEATURES.dtype
    columns = [int((moved[:, [j]] == FEATURES).all(0).nonzero()) for j in range(12)]
    assert sorted(columns) == list(range(12))
    assert columns != list(range(12))


def test_a_permutation_repeats_and_differs_between_seeds():
    assert (apply(PERMUTATION, IMAGES) == apply(PERMUTATION, IMAGES)).all()
    assert not (apply(PERMUTATION, IMAGES) == apply({"kind": "permutation", "seed": 8}, IMAGES)).all()
    assert (apply(PERMUTATION, IMAGES)[2:3] == apply(PERMUTATION, IMAGES[2:3])).all()


@pytest.mark.parametrize(("degrees", "quarters"), [(0.0, 0), (90.0, 1), (180.0, 2), (-90.0, 3)])
def test_quarter_turns_are_exact_and_counter_clockwise(degrees, quarters):
    turned = apply({"kind": "rotation", "degrees": degrees}, IMAGES)
    assert turned.dtype == torch.uint8
    assert (turned == torch.rot90(IMAGES, quarters, (2, 3))).all()


def test_a_rotation_keeps_lengths_in_images_that_are_not_square():
    image = torch.zeros(1, 1, 9, 17)
    image[..., 4, 12] = 1.0  # four to the right of the centre ...
    turned = apply({"kind": "rotation", "degrees": 90.0}, image)
    assert turned.shape == image.shape
    assert turned[0, 0, 0, 8] == pytest.approx(1.0, abs=1e-5)  # ... comes to lie four above it


def test_a_rotation_brings_zeros_in():
    turned = apply({"kind": "rotation", "degrees": 45.0}, torch.full((1, 1, 9, 9), 255, dtype=torch.uint8))
    assert turned[0, 0, 0, 0] == 0
    assert turned[0, 0, 4, 4] == 255


def test_batches_do_not_show():
    many = IMAGES[:, :, :4, :4].repeat(IMAGES_AT_ONCE // 5 + 1, 1, 1, 1)
    turned = apply({"kind": "rotation", "degrees": 33.0}, many)
    assert len(turned) == len(many)
    assert (turned[-5:] == apply({"kind": "rotation", "degrees": 33.0}, many[-5:])).all()
    assert apply({"kind": "rotation", "degrees": 33.0}, IMAGES[:0]).shape == IMAGES[:0].shape


def test_what_cannot_be_done():
    with pytest.raises(ValueError, match="needs images"):
        apply({"kind": "rotation", "degrees": 10.0}, FEATURES)
    with pytest.raises(ValueError, match="unknown transform 'shear'"):
        apply({"kind": "shear"}, IMAGES)
