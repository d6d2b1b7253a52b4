"""One picture: what becomes of modes, orientations and sizes, and one word about each that is none."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cl_engine.data.pictures import Form, PictureError, SizeError

RNG = np.random.RandomState(0)


def file(picture, kind="PNG", **options):
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def pixels(data, **form):
    return Form(**form).decoded(data).pixels


def test_a_picture_of_its_own_size_keeps_every_bit():
    array = RNG.randint(0, 256, (5, 7, 3)).astype(np.uint8)
    found = Form().decoded(file(Image.fromarray(array)))
    assert np.array_equal(found.pixels, array.transpose(2, 0, 1))
    for channel, counts in zip(array.transpose(2, 0, 1), found.histogram, strict=True):
        assert np.array_equal(counts, np.bincount(channel.ravel(), minlength=256))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_cameras_orientation_is_applied(orientation):
    # What the EXIF standard says the first row and the first column of the file are in the picture.
    array = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    upright = {
        1: array,
        2: array[:, ::-1],
        3: array[::-1, ::-1],
        4: array[::-1],
        5: array.T,
        6: array.T[:, ::-1],
        7: array.T[::-1, ::-1],
        8: array.T[::-1],
    }[orientation]
    picture, exif = Image.fromarray(array), Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(pixels(file(picture, kind, exif=exif), channels=1)[0], upright)


def test_alpha_is_dropped_palettes_are_looked_up_and_greys_are_repeated():
    array = RNG.randint(0, 256, (4, 4, 4)).astype(np.uint8)
    assert np.array_equal(pixels(file(Image.fromarray(array))), array[..., :3].transpose(2, 0, 1))
    palette = Image.fromarray(np.array([[0, 1], [1, 0]], dtype=np.uint8), "P")
    palette.putpalette([10, 20, 30, 200, 100, 0])
    found = pixels(file(palette, transparency=b"\0\xff"))
    assert found[:, 0].tolist() == [[10, 200], [20, 100], [30, 0]]
    grey = Image.fromarray(array[..., 0])
    assert np.array_equal(pixels(file(grey)), np.repeat(array[None, ..., 0], 3, 0))


def test_16_bit_greys_keep_their_high_byte_and_32_bits_are_refused():
    deep = np.array([[0, 255, 256, 65535]], dtype=np.uint16)
    assert pixels(file(Image.fromarray(deep)), channels=1).tolist() == [[[0, 0, 1, 255]]]
    with pytest.raises(PictureError, match="32 bits a pixel"):
        pixels(file(Image.fromarray(np.zeros((2, 2), dtype=np.float32)), "TIFF"))


def test_cmyk_black_is_black():
    cmyk = Image.new("CMYK", (8, 8), (0, 0, 0, 255))
    assert pixels(file(cmyk, "JPEG", quality=95)).max() <= 3


def test_crop_takes_the_middle_pad_fills_with_black_and_stretch_keeps_all():
    wide = np.zeros((4, 12, 3), dtype=np.uint8)
    wide[:, 4:8] = 200
    data = file(Image.fromarray(wide))
    assert pixels(data, size=4).min() == 200  # nothing is scaled, so nothing is mixed
    padded = pixels(data, size=12, resize="pad")
    assert padded[:, :4].max() == 0 == padded[:, 8:].max()
    assert np.array_equal(padded[:, 4:8], wide.transpose(2, 0, 1))
    stretched = pixels(data, size=6, resize="stretch")
    assert stretched.shape == (3, 6, 6)
    assert stretched[:, :, 0].max() == 0 < stretched[:, :, 3].min()


@pytest.mark.parametrize("size", [(13, 9), (9, 13), (31, 20), (7, 7), (100, 33)])
def test_crop_is_what_torchvision_does(size):
    transforms = pytest.importorskip("torchvision.transforms", reason="compares with torchvision")
    picture = Image.fromarray(RNG.randint(0, 256, (*size, 3)).astype(np.uint8))
    theirs = transforms.Compose([transforms.Resize(8), transforms.CenterCrop(8)])(picture)
    assert np.array_equal(pixels(file(picture), size=8), np.asarray(theirs).transpose(2, 0, 1))


def huge(width, height):
    """A PNG that says it is so large, and holds nothing."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


WHOLE = file(Image.fromarray(RNG.randint(0, 256, (40, 40, 3)).astype(np.uint8)), "JPEG")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is no picture"),
        (b"hello", "is no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no picture"),  # would start another program
        (WHOLE[: len(WHOLE) // 2], "truncated"),
        (WHOLE[:30], "is no picture|cannot be decoded"),
        (huge(60_000, 60_000), "is 3,600,000,000 pixels; allowed: up to 89,478,485 in all$"),
        (huge(10_000, 10_000), "10,000 x 10,000 pixels; allowed: up to"),
    ],
    ids=["empty", "text", "eps", "truncated", "header", "60k", "10k"],
)
def test_what_is_no_picture_is_said_on_one_line(data, complaint):
    with pytest.raises(PictureError, match=complaint) as caught:
        Form(size=8).decoded(data)
    assert "\n" not in str(caught.value)


def test_a_thread_of_pixels_is_not_blown_up():
    with pytest.raises(PictureError, match="one side at most 64 times the other"):
        Form(size=64).decoded(file(Image.new("RGB", (1, 3000))))


def test_another_size_than_the_first_is_told_apart():
    with pytest.raises(SizeError, match="7 x 5"):
        Form().decoded(file(Image.new("RGB", (7, 5))), (3, 5, 6))
