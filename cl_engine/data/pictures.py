"""From the bytes of a picture to an array of one size."""

from __future__ import annotations

import io
import re
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from cl_engine.kinds.problems import one_line

DECODER = 1  # goes up whenever the same bytes give other pixels
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")  # what is looked for in a file, whatever its name
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp", ".gif")
ORIENTATION = 0x0112  # the EXIF tag of how a camera was held
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
LARGEST_FILE = 1 << 29  # bytes of one picture's file, unpacked

Resize = Literal["crop", "stretch", "pad"]
Pixels = npt.NDArray[np.uint8]


class PictureError(Exception):
    """A file is no picture that can be used; the message says why, without its name."""


class SizeError(PictureError):
    """A picture has another size than the first, and nobody said what to do about it."""


class Decoded(NamedTuple):
    """A picture.

    Attributes:
        pixels: uint8 ``[C, H, W]``.
        histogram: how often each value occurs in each channel, int64 ``[C, 256]``.
    """

    pixels: Pixels
    histogram: npt.NDArray[np.int64]


class Form(NamedTuple):
    """What every picture is made into.

    The orientation that a camera noted is applied, colours become RGB (or grey) as Pillow converts them: alpha is
    dropped, palettes are looked up, CMYK is computed.  16-bit greys keep their high byte.  Sizes are changed with
    Pillow's bilinear filter, which looks at all pixels that one stands for.

    Attributes:
        channels: 3 for RGB, 1 for grey.
        size: pixels of either side, or None for pictures as they are.
        resize: ``crop``: the shorter side to ``size``, then the middle; ``stretch``: both sides, whatever becomes
            of the picture's proportions; ``pad``: the longer side, on black.
    """

    channels: int = 3
    size: int | None = None
    resize: Resize = "crop"

    def shape_of(self, data: bytes) -> tuple[int, int, int]:
        """Return the shape ``(C, H, W)`` that a picture's array will have.

        Raises:
            PictureError: it is no picture.
        """
        if self.size is not None:
            return self.channels, self.size, self.size
        found: tuple[int, int, int] = self.decoded(data).pixels.shape
        return found

    def decoded(self, data: bytes, shape: tuple[int, int, int] | None = None) -> Decoded:
        """Decode a picture's file.

        Args:
            data: the file.
            shape: what its array must be.

        Raises:
            PictureError: it is damaged, no picture, or too large.
            SizeError: its size is another, and there is no ``size`` that it could be brought to.
        """
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                _check_pixels(picture)
                upright = self._upright(picture)
                sized = upright if self.size is None else self._sized(upright)
        except PictureError:
            raise
        except UnidentifiedImageError:
            raise PictureError(f"is no picture; allowed: {', '.join(FORMATS)}") from None
        except Image.DecompressionBombError as error:
            found = re.search(r"\((\d+) pixels", str(error))
            raise PictureError(_too_large(f"{int(found[1]):,}" if found else "of far too many")) from None
        except Exception as error:  # Pillow raises many kinds for a damaged file
            raise PictureError(f"cannot be decoded: {one_line(error) or type(error).__name__}") from None
        if shape is not None and (sized.height, sized.width) != shape[1:]:
            raise SizeError(f"{sized.width} x {sized.height}")
        array = np.asarray(sized).reshape(sized.height, sized.width, self.channels)
        histogram = np.array(sized.histogram(), dtype=np.int64).reshape(self.channels, 256)
        return Decoded(np.ascontiguousarray(array.transpose(2, 0, 1)), histogram)

    def _upright(self, picture: Image.Image) -> Image.Image:
        picture.load()
        turn = TURNS.get(picture.getexif().get(ORIENTATION, 1))
        if picture.mode.startswith("I;16"):
            high = np.asarray(picture, dtype=np.uint16) >> 8
            found = Image.fromarray(high.astype(np.uint8))
        elif picture.mode in ("I", "F"):
            raise PictureError(f"holds 32 bits a pixel (mode {picture.mode}); allowed: 8 or 16")
        else:
            found = picture
        found = found.convert("RGB" if self.channels == 3 else "L")
        return found if turn is None else found.transpose(turn)

    def _sized(self, picture: Image.Image) -> Image.Image:
        assert self.size is not None
        size, (width, height) = self.size, picture.size
        if (width, height) == (size, size):
            return picture
        if self.resize == "stretch":
            return picture.resize((size, size), Image.Resampling.BILINEAR)
        side = min(width, height) if self.resize == "crop" else max(width, height)
        wide, high = (max(1, size * length // side) for length in (width, height))
        if max(wide, high) > 64 * size:
            raise PictureError(f"is {width} x {height} pixels; allowed: one side at most 64 times the other")
        if (wide, high) != (width, height):
            picture = picture.resize((wide, high), Image.Resampling.BILINEAR)
        if self.resize == "pad":
            whole = Image.new(picture.mode, (size, size))
            whole.paste(picture, ((size - wide) // 2, (size - high) // 2))
            return whole
        left, top = round((wide - size) / 2), round((high - size) / 2)
        return picture.crop((left, top, left + size, top + size))


def _check_pixels(picture: Image.Image) -> None:
    if picture.width * picture.height > _most_pixels():
        raise PictureError(_too_large(f"{picture.width:,} x {picture.height:,}"))


def _most_pixels() -> int:
    return Image.MAX_IMAGE_PIXELS or 1 << 27


def _too_large(found: str) -> str:
    return f"is {found} pixels; allowed: up to {_most_pixels():,} in all"
