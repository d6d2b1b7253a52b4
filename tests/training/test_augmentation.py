"""Augmented images are what a sample-by-sample reference makes of the same draws, bit for bit or to the rounding."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from cl_engine.kinds.problems import OptionError, Problems
from cl_engine.kinds.schema import schema
from cl_engine.models.inputs import to_float
from cl_engine.training.augmentation import PRESETS, Augmentation, augment, augmentation_of, views

# The order of the draws is a promise: runs repeat only as long as it stays.
ROWS = (
    "crop_row", "crop_column", "area", "stretch", "resized_row", "resized_column", "flip", "jitter",
    "brightness", "contrast", "saturation", "hue", "greyscale", "hole_row", "hole_column",
)  # fmt: skip
LUMA = np.array([0.299, 0.587, 0.114])
SHAPES = [(3, 32, 32), (1, 28, 28), (3, 9, 14), (1, 20, 7)]
TIE = 1e-3  # float32 error of a value up to 255, with room; a value that near a half may be rounded either way


def images(count=64, shape=(3, 32, 32), seed=0):
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=seeded(seed))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def draws(count, seed):
    rows = torch.rand(len(ROWS), count, dtype=torch.float64, generator=seeded(seed)).numpy()
    return dict(zip(ROWS, rows, strict=True))


def assert_rounded(pixels, reference):
    """Each value is the reference, clipped to 0..255 and rounded to the nearest integer."""
    error = np.abs(pixels.numpy() - np.clip(reference, 0, 255))
    assert error.max() <= 0.5 + TIE


def sliced(image, padding, row, column, mirrored):
    """One image's crop and flip, by NumPy slices."""
    channels, height, width = image.shape
    padded = np.zeros((channels, height + 2 * padding, width + 2 * padding), np.uint8)
    padded[:, padding : padding + height, padding : padding + width] = image
    top, left = int(row * (2 * padding + 1)), int(column * (2 * padding + 1))
    window = padded[:, top : top + height, left : left + width]
    return window[:, :, ::-1] if mirrored else window


@pytest.mark.parametrize("shape", [*SHAPES, (2, 8, 8)])
@pytest.mark.parametrize(("padding", "flip"), [(4, True), (4, False), (0, True), (1, True)])
def test_crop_and_flip_are_a_loop_of_slices_bit_for_bit(shape, padding, flip):
    x, u = images(shape=shape), draws(64, 3)
    mirrored = (u["flip"] < 0.5) & flip
    loop = [
        sliced(x[i].numpy(), padding, u["crop_row"][i], u["crop_column"][i], mirrored[i]) for i in range(len(x))
    ]
    augmented = augment(x, Augmentation(crop=padding, flip=flip), seeded(3))
    assert augmented.dtype == torch.uint8
    assert np.array_equal(augmented.numpy(), np.stack(loop))


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_resized_crop_is_bilinear_grid_sampling_of_the_drawn_rectangle(shape, flip):
    x, u = images(shape=shape), draws(64, 5)
    area = 0.1 + 0.9 * u["area"]
    # log-uniform over the stretches between 3/4 and 4/3 of which both sides fit into the image
    low, high = np.maximum(3 / 4, area), np.minimum(4 / 3, 1 / area)
    stretch = low * (high / low) ** u["stretch"]
    height, width = np.sqrt(area / stretch), np.sqrt(area * stretch)
    assert max(height.max(), width.max()) <= 1 + 1e-12
    assert np.allclose(height * width, area)
    mirror = np.where((u["flip"] < 0.5) & flip, -1.0, 1.0)
    theta = np.zeros((64, 2, 3))  # from the enlarged image's coordinates in -1..1 to the image's own
    theta[:, 0, 0], theta[:, 1, 1] = width * mirror, height
    theta[:, 0, 2] = 2 * ((1 - width) * u["resized_column"] + width / 2) - 1
    theta[:, 1, 2] = 2 * ((1 - height) * u["resized_row"] + height / 2) - 1
    grid = F.affine_grid(torch.from_numpy(theta), list(x.shape), align_corners=False)
    expected = F.grid_sample(x.double(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    augmented = augment(x, Augmentation(resized_crop=(0.1, 1.0), flip=flip), seeded(5))
    assert_rounded(augmented, expected.numpy())


def test_a_resized_crop_of_the_whole_area_is_the_image():
    x = images()
    assert torch.equal(augment(x, Augmentation(resized_crop=(1.0, 1.0)), seeded(0)), x)


def test_a_crop_comes_before_a_resized_crop_and_the_flip_last():
    x, both = images(), {"resized_crop": (0.3, 0.6), "flip": True}
    cropped = augment(x, Augmentation(crop=4), seeded(1))
    expected = augment(cropped, Augmentation(**both), seeded(1))
    assert torch.equal(augment(x, Augmentation(crop=4, **both), seeded(1)), expected)


def recoloured(image, u, *, brightness=0.0, contrast=0.0, saturation=0.0, probability=1.0):
    """One image's colours, step by step in float64; ``u`` is its draws."""
    image, jitters = image.astype(np.float64), u["jitter"] < probability

    def grey_of(pixels):
        return np.tensordot(LUMA, pixels, 1) if len(pixels) == 3 else pixels[0]

    def factor(name, strength):
        return 1 - strength + 2 * strength * u[name] if jitters else 1.0

    image = image * factor("brightness", brightness)
    f, mean = factor("contrast", contrast), grey_of(image).mean()
    image = f * image + (1 - f) * mean
    f = factor("saturation", saturation)
    return f * image + (1 - f) * grey_of(image)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "options",
    [
        {"brightness": 63 / 255},
        {"contrast": 0.4},
        {"saturation": 0.8},
        {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "jitter_probability": 0.6},
    ],
    ids=lambda options: "+".join(options),
)
def test_colours_are_those_of_a_float64_loop(shape, options):
    x, u = images(shape=shape), draws(64, 7)
    plain = {"probability" if name == "jitter_probability" else name: v for name, v in options.items()}
    loop = [recoloured(x[i].numpy(), {k: v[i] for k, v in u.items()}, **plain) for i in range(len(x))]
    augmented = augment(x, Augmentation(**options), seeded(7))
    assert augmented.dtype == torch.uint8
    assert_rounded(augmented, np.stack(loop))


def test_images_that_do_not_jitter_stay_as_they_are():
    x, u = images(200), draws(200, 2)
    jitter = Augmentation(brightness=0.5, contrast=0.5, saturation=0.5, hue=0.2, jitter_probability=0.3)
    same = (augment(x, jitter, seeded(2)) == x).flatten(1).all(1)
    assert np.array_equal(same.numpy(), u["jitter"] >= 0.3)


def test_greyscale_is_itu_r_601_in_all_channels_of_the_drawn_images_and_no_change_of_the_others():
    x, u = images(), draws(64, 4)
    augmented, grey = augment(x, Augmentation(greyscale=0.4), seeded(4)), u["greyscale"] < 0.4
    assert 0 < grey.sum() < 64
    expected = np.einsum("c,bchw->bhw", LUMA, x.double().numpy())[grey]
    for channel in range(3):
        assert_rounded(augmented[grey][:, channel], expected)
    assert torch.equal(augmented[~grey], x[~grey])
    by_pillow = [np.asarray(Image.fromarray(i.permute(1, 2, 0).numpy()).convert("L")) for i in x[grey]]
    assert np.abs(augmented[grey][:, 0].numpy().astype(int) - np.stack(by_pillow)).max() <= 1


def test_hue_turns_i_and_q_by_the_drawn_angle_and_keeps_y():
    # mid-range colours, so that nothing is clipped
    x, u = images() // 4 + 96, draws(64, 6)
    to_yiq = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    before = np.einsum("kc,bchw->bkhw", to_yiq, x.double().numpy())
    after = np.einsum("kc,bchw->bkhw", to_yiq, augment(x, Augmentation(hue=0.5), seeded(6)).double().numpy())
    turned = (before[:, 1] + 1j * before[:, 2]) * np.exp(2j * np.pi * (u["hue"] - 0.5))[:, None, None]
    assert np.abs(after[:, 0] - before[:, 0]).max() <= 0.51  # rounding of the three channels
    assert np.abs(after[:, 1] + 1j * after[:, 2] - turned).max() <= 0.9


def test_all_colour_options_together_are_brightness_contrast_saturation_hue_greyscale_in_that_order():
    x, u = images() // 4 + 96, draws(64, 8)
    options = {"brightness": 0.1, "contrast": 0.3, "saturation": 0.3}
    loop = np.stack([recoloured(x[i].numpy(), {k: v[i] for k, v in u.items()}, **options) for i in range(len(x))])
    yiq = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    for i in range(len(x)):
        angle = 2 * np.pi * 0.2 * (2 * u["hue"][i] - 1)
        turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        loop[i] = np.einsum("kc,chw->khw", np.linalg.solve(yiq, turn @ yiq), loop[i])
        if u["greyscale"][i] < 0.2:
            loop[i] = np.einsum("c,chw->hw", LUMA, loop[i])
    augmented = augment(x, Augmentation(**options, hue=0.2, greyscale=0.2), seeded(8))
    assert_rounded(augmented, loop)


@pytest.mark.parametrize("side", [1, 2, 5, 8])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 9, 14)])
def test_a_hole_is_black_lies_around_the_drawn_pixel_and_is_cut_at_the_border(shape, side):
    _, height, width = shape
    x, u = images(300, shape).clamp(min=1), draws(300, 9)
    expected = x.numpy().copy()
    for i in range(300):
        top, left = int(u["hole_row"][i] * height) - side // 2, int(u["hole_column"][i] * width) - side // 2
        expected[i, :, max(top, 0) : top + side, max(left, 0) : left + side] = 0
    assert np.array_equal(augment(x, Augmentation(cutout=side), seeded(9)).numpy(), expected)


def test_a_hole_is_cut_after_the_colours_so_it_stays_black():
    x = images().clamp(min=1)
    both = augment(x, Augmentation(contrast=0.9, cutout=6), seeded(1))
    alone = augment(x, Augmentation(cutout=6), seeded(1))
    assert (both[alone == 0] == 0).all()


def test_all_offsets_of_a_crop_are_equally_likely_and_half_of_the_images_flip():
    count, padding = 81_000, 4
    x = torch.arange(1, 101, dtype=torch.uint8).view(1, 1, 10, 10).expand(count, 1, 10, 10)
    augmented = augment(x, Augmentation(crop=padding, flip=True), seeded(0))
    centre = augmented[:, 0, 4, 4:6].long() - 1  # never padding
    flips = (centre[:, 0] > centre[:, 1]).double().mean().item()
    assert abs(flips - 0.5) < 4 * np.sqrt(0.25 / count)
    tops = centre[:, 0] // 10 - 4
    lefts = centre.min(1).values % 10 - 4
    offsets = torch.bincount((tops + padding) * 9 + lefts + padding, minlength=81).double()
    assert len(offsets) == 81
    chi_squared = ((offsets - 1000) ** 2 / 1000).sum().item()
    assert chi_squared < 124.8  # 0.999 quantile for 80 degrees of freedom


def test_shares_of_grey_and_jittered_images_are_the_probabilities():
    x = images(20_000, (3, 4, 4))
    grey = augment(x, Augmentation(greyscale=0.2), seeded(1))
    jittered = augment(x, Augmentation(brightness=1.0, jitter_probability=0.8), seeded(1))
    for share, wanted in (
        ((grey == grey[:, :1]).flatten(1).all(1), 0.2),
        ((jittered != x).flatten(1).any(1), 0.8),
    ):
        assert abs(share.double().mean().item() - wanted) < 4 * np.sqrt(0.16 / 20_000)


EVERYTHING = Augmentation(
    crop=3, flip=True, resized_crop=(0.2, 1.0), brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1,
    jitter_probability=0.8, greyscale=0.2, cutout=8,
)  # fmt: skip


@pytest.mark.parametrize("augmentation", [EVERYTHING, *PRESETS.values()])
def test_the_same_generator_state_gives_the_same_bits_and_the_next_draw_others(augmentation):
    x, generator = images(), seeded(0)
    first, second = augment(x, augmentation, generator), augment(x, augmentation, generator)
    assert torch.equal(first, augment(x, augmentation, seeded(0)))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("augmentation", [EVERYTHING, PRESETS["contrastive"]])
def test_threads_change_nothing(augmentation):
    x, before = images(256), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(augment(x, augmentation, seeded(0)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_bfloat16_training_around_it_changes_nothing():
    x = images()
    with torch.autocast("cpu", torch.bfloat16):
        inside = augment(x, EVERYTHING, seeded(0))
    assert torch.equal(inside, augment(x, EVERYTHING, seeded(0)))


def test_global_random_state_is_neither_read_nor_moved():
    x, before = images(), torch.random.get_rng_state()
    augment(x, EVERYTHING, seeded(0))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "other",
    [
        {"brightness": 0.4},
        {"contrast": 0.4, "saturation": 0.4, "hue": 0.1, "jitter_probability": 0.8},
        {"greyscale": 0.5},
        {"cutout": 3},
        {"resized_crop": (0.5, 1.0)},
    ],
    ids=lambda other: "+".join(other),
)
def test_turning_another_option_on_moves_neither_offsets_nor_flips(other):
    x, flip = images(), "resized_crop" not in other  # which lies between crop and flip
    first, both = Augmentation(crop=4, flip=flip), Augmentation(crop=4, flip=flip, **other)
    one_by_one = augment(augment(x, first, seeded(1)), Augmentation(**other), seeded(1))
    assert torch.equal(augment(x, both, seeded(1)), one_by_one)


def test_what_changes_nothing_returns_the_batch_itself():
    x = images()
    assert augment(x, Augmentation(), seeded(0)) is x
    assert augment(x, Augmentation(jitter_probability=0.5), seeded(0)) is x
    grey = images(shape=(1, 8, 8))
    assert augment(grey, Augmentation(saturation=0.5, hue=0.5, greyscale=0.5), seeded(0)) is grey


def test_a_batch_is_never_changed_in_place():
    x = images()
    before = x.clone()
    for augmentation in (EVERYTHING, *PRESETS.values()):
        augment(x, augmentation, seeded(0))
    assert torch.equal(x, before)


def test_an_empty_batch_stays_empty():
    x = images(0)
    assert augment(x, EVERYTHING, seeded(0)).shape == (0, 3, 32, 32)


def test_any_memory_layout_gives_the_same_images():
    x = images()
    laid_out = x.contiguous(memory_format=torch.channels_last)
    part = torch.cat([x, x], 3)[..., :32]
    for augmentation in (EVERYTHING, *PRESETS.values()):
        expected = augment(x, augmentation, seeded(0))
        assert torch.equal(augment(laid_out, augmentation, seeded(0)), expected)
        assert torch.equal(augment(part, augmentation, seeded(0)), expected)


def test_no_value_is_fetched_from_the_device():
    # the meta device has no values: whatever reads one fails there
    x = torch.empty(8, 3, 32, 32, dtype=torch.uint8, device="meta")
    for augmentation in (EVERYTHING, *PRESETS.values()):
        augmented = augment(x, augmentation, seeded(0))
        assert (augmented.shape, augmented.dtype, augmented.device.type) == (x.shape, torch.uint8, "meta")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_makes_the_same_images_without_the_host_waiting_for_it():
    x = images(256)
    there = x.cuda()
    for augmentation in (EVERYTHING, *PRESETS.values()):
        augment(there, augmentation, seeded(0))  # the first use of a kernel loads it, which waits
        torch.cuda.set_sync_debug_mode("error")
        try:
            found = augment(there, augmentation, seeded(0))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        difference = (found.cpu().int() - augment(x, augmentation, seeded(0)).int()).abs()
        assert difference.max() <= 1  # a value next to a half may be rounded either way
        assert (difference > 0).double().mean() < 1e-4
    assert torch.equal(
        augment(there, PRESETS["standard"], seeded(0)).cpu(), augment(x, PRESETS["standard"], seeded(0))
    )


def test_views_lie_one_after_the_other_and_have_draws_of_their_own():
    x, generator = images(5), seeded(0)
    together = views(x, PRESETS["contrastive"], seeded(0), count=3)
    apart = [augment(x, PRESETS["contrastive"], generator) for _ in range(3)]
    assert together.shape == (15, 3, 32, 32)
    assert torch.equal(together, torch.cat(apart))
    assert not torch.equal(together[:5], together[5:10])
    assert len(views(x, Augmentation(), seeded(0))) == 10


def test_an_augmented_batch_enters_the_network_as_a_plain_one():
    scaled = to_float(augment(images(), PRESETS["cifar"], seeded(0)))
    assert scaled.dtype == torch.float32
    assert -1 <= scaled.min() < scaled.max() <= 1


@pytest.mark.parametrize(
    ("x", "augmentation", "message"),
    [
        (torch.zeros(8, 16), "standard", r"augmentation: the samples are float32 \[8, 16\]; allowed: uint8 images"),
        (torch.zeros(8, 3, 9, 9), "cifar", r"augmentation: the samples are float32 \[8, 3, 9, 9\]; allowed: uint8"),
        (
            images(2).flatten(1),
            "cifar",
            r"augmentation: a sample has the shape \[3072\]; allowed: images \[C, H, W\]",
        ),
        (
            images(2, (3, 4, 9)),
            "standard",
            r"augmentation.crop: got 4 for images of 4 x 9 pixels; allowed: at most 3",
        ),
        (images(2, (3, 9, 9)), {"cutout": 9}, r"augmentation.cutout: got 9 for .* allowed: at most 8"),
        (images(2, (4, 9, 9)), {"hue": 0.1}, r"augmentation.hue: needs grey or red, .* 4 channels; allowed: 0"),
    ],
)
def test_samples_that_cannot_be_augmented_are_refused_in_one_line(x, augmentation, message):
    with pytest.raises(OptionError, match=message) as refusal:
        augment(x, augmentation_of(augmentation), seeded(0))
    assert "\n" not in str(refusal.value)


def test_options_come_as_a_word_a_mapping_or_nothing():
    assert augmentation_of(None) is None
    assert augmentation_of("standard") == augmentation_of({"crop": 4, "flip": True}) == Augmentation(4, True)
    assert augmentation_of("cifar").brightness == 63 / 255
    assert augmentation_of({"resized_crop": [0.2, 1]}) == Augmentation(resized_crop=(0.2, 1.0))
    assert augmentation_of({}) == Augmentation()


@pytest.mark.parametrize(
    ("option", "where", "what"),
    [
        ("standrd", (), "there is no augmentation 'standrd', did you mean 'standard'?; allowed: standard, cifar, "),
        (["crop"], (), "there is no augmentation ['crop']; allowed: standard, "),
        ({"flp": True}, ("flp",), "unknown option, did you mean 'flip'?"),
        ({"crop": -1}, ("crop",), "got -1; allowed: an integer >= 0"),
        ({"hue": 0.6}, ("hue",), "got 0.6; allowed: a number >= 0 and <= 0.5"),
        ({"resized_crop": [1, 0.2]}, ("resized_crop",), "got [1.0, 0.2]; allowed: the smaller area first"),
        ({"resized_crop": [0.2]}, ("resized_crop",), "got [0.2]; allowed: a list"),
        ({"resized_crop": 0.2}, ("resized_crop",), "got 0.2; allowed: a list"),
    ],
)
def test_wrong_options_say_what_is_allowed(option, where, what):
    with pytest.raises(Problems) as problems:
        augmentation_of(option)
    (problem,) = problems.value.problems
    assert problem.where == where
    assert problem.what.startswith(what)


def test_every_option_is_described():
    properties = schema(Augmentation)["properties"]
    assert all(p.get("description") for p in properties.values())
