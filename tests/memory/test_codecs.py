"""Codecs: what is lost, what is charged, what is refused."""

import io

import pytest
import torch
from PIL import Image

from cl_engine.kinds.problems import OptionError, Problems
from cl_engine.memory.codecs import KINDS
from cl_engine.memory.codecs.codec import build_codec


def images(n, shape, seed=0):
    """Smooth images with a little noise, as photographs are."""
    c, h, w = shape
    generator = torch.Generator().manual_seed(seed)
    down, across = torch.linspace(0, 3, h)[:, None], torch.linspace(0, 2, w)
    phase = torch.rand(n, c, 1, 1, generator=generator) * 6
    noise = torch.randn(n, c, h, w, generator=generator) * 3
    return (128 + 90 * torch.sin(down + across + phase) + noise).clamp(0, 255).to(torch.uint8)


def encoded(codec, x):
    found = codec.encode(x)
    assert found.flat.dtype == torch.uint8
    assert found.sizes.dtype == torch.int64
    assert len(found.flat) == int(found.sizes.sum())
    back = codec.decode(found.flat, found.offsets, tuple(x.shape[1:]))
    assert back.dtype == x.dtype
    assert back.shape == x.shape
    each = codec.bytes_per_sample(tuple(x.shape[1:]))
    assert each is None or (found.sizes == each).all()
    return found, back


def build(kind, **options):
    return build_codec({"kind": kind, **options}, frozen=True)


@pytest.mark.parametrize("n", [0, 1, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_samples_goes_there_and_back(kind, n):
    if kind != "features":
        encoded(build(kind), images(n, (3, 9, 10)))
        return
    for dtype in ("float32", "float16", "int8"):
        encoded(build(kind, dtype=dtype), torch.randn(n, 7))


def test_raw_loses_nothing():
    for x in (images(4, (3, 5, 7)), torch.randn(4, 6)):
        found, back = encoded(build("raw"), x)
        assert torch.equal(back, x)
        assert len(found.flat) == x.numel() * x.element_size()


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_error_is_small_and_its_bytes_are_a_file_each(channels):
    x = images(6, (channels, 48, 40))
    found, back = encoded(build("jpeg", quality=90), x)
    assert (back.float() - x.float()).abs().mean() < 4
    for file, image in zip(torch.split(found.flat, found.sizes.tolist()), x, strict=True):
        with Image.open(io.BytesIO(file.numpy().tobytes())) as opened:
            assert (opened.format, opened.size) == ("JPEG", (40, 48))
        assert len(file) < image.numel()
    coarse, _ = encoded(build("jpeg", quality=20), x)
    assert len(coarse.flat) < len(found.flat)


def test_taking_encoded_samples_keeps_each_as_it_is():
    x = images(6, (1, 16, 16))
    x[2] = 0  # sizes differ
    codec = build("jpeg")
    found, back = encoded(codec, x)
    index = torch.tensor([5, 2, 2, 0])
    for taken in (found.take(index), found.take(index[:2]).join(found.take(index[2:]))):
        assert torch.equal(codec.decode(taken.flat, taken.offsets, (1, 16, 16)), back[index])
    mask = torch.tensor([True, False, True, False, False, True])
    assert torch.equal(found.take(mask).flat, found.take(torch.tensor([0, 2, 5])).flat)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_downsampling_averages_areas(upsampling):
    codec = build("downsample", factor=2, upsampling=upsampling)
    x = torch.tensor([[[[0, 10, 4], [20, 30, 6], [8, 8, 200]]]], dtype=torch.uint8)
    found, back = encoded(codec, x)
    assert found.flat.tolist() == [15, 5, 8, 200]  # edge blocks average the pixels that there are
    if upsampling == "nearest":
        assert back[0, 0].tolist() == [[15, 15, 5], [15, 15, 5], [8, 8, 200]]
    constant = torch.full((2, 3, 7, 6), 77, dtype=torch.uint8)
    assert torch.equal(encoded(codec, constant)[1], constant)
    assert codec.bytes_per_sample((3, 32, 32)) == 3 * 16 * 16


def test_features_in_few_bits():
    x = torch.randn(50, 33, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 4, 50)[:, None]
    x[7] = 0
    each = {"float32": 132, "float16": 66, "int8": 37}
    for dtype, size in each.items():
        codec = build("features", dtype=dtype)
        _, back = encoded(codec, x)
        assert codec.bytes_per_sample((33,)) == size
        error = (back - x).abs()
        if dtype == "float32":
            assert torch.equal(back, x)
        elif dtype == "float16":
            assert (error <= x.abs() * 2**-11 + 2**-24).all()
        else:
            assert (error <= x.abs().amax(1, keepdim=True) / 127 * 0.5001).all()
    huge = torch.full((1, 3), 1e30)
    assert torch.isfinite(encoded(build("features", dtype="float16"), huge)[1]).all()


@pytest.mark.parametrize(
    ("kind", "options", "shape"),
    [
        ("jpeg", {}, (32,)),
        ("jpeg", {}, (2, 8, 8)),
        ("downsample", {"factor": 9}, (1, 8, 8)),
        ("downsample", {}, (32,)),
        ("features", {}, (1, 8, 8)),
    ],
)
def test_samples_that_do_not_fit_are_refused(kind, options, shape):
    with pytest.raises(OptionError, match=r"codec: .*allowed: "):
        build(kind, **options).bytes_per_sample(shape)


def test_features_need_a_frozen_extractor():
    with pytest.raises(OptionError, match="trains its extractor"):
        build_codec("features", frozen=False)
    assert build_codec("features", frozen=True).of_features


@pytest.mark.parametrize(
    "option", [{"kind": "jpeg", "quality": 0}, {"kind": "jpg"}, {"kind": "raw", "quality": 3}, 3]
)
def test_wrong_options_are_refused(option):
    with pytest.raises(Problems):
        build_codec(option, frozen=True)


def test_a_codec_of_ones_own():
    codec = build_codec("tests.run_length:RunLength", frozen=False)
    x = (images(5, (1, 6, 6)) // 64) * 64
    assert torch.equal(encoded(codec, x)[1], x)
    with pytest.raises(Problems, match="a subclass of"):
        build_codec("tests.run_length:Encoded", frozen=False)
