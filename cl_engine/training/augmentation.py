"""Image augmentation: one random draw per sample, the whole batch in one pass on the device where it lies.

Samples are uint8 images before and after, so a network that sees an augmented batch treats it as any other.
The operations come in a fixed order: crop, resized crop, flip; brightness, contrast, saturation, hue, greyscale;
cutout.  Between the first and the last of them values are neither rounded nor clipped: that happens once, at the
end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import AfterValidator, Field
from torch import Tensor
from torch.nn import functional as F

from cl_engine.kinds.problems import OptionError, Problem, Problems, did_you_mean, shown
from cl_engine.kinds.validation import validate

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: the grey value of red, green and blue
YIQ = (LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))  # NTSC; grey has neither I nor Q
STRETCH = 4 / 3  # a resized crop is stretched by at most that, either way (Szegedy et al., CVPR 2015)


def _area_range(areas: Sequence[float]) -> tuple[float, float]:
    low, high = areas
    if low > high:
        raise ValueError(f"got {shown(areas)}; allowed: the smaller area first")
    return low, high


Areas = Annotated[
    Sequence[Annotated[float, Field(gt=0, le=1)]],
    Field(min_length=2, max_length=2),
    AfterValidator(_area_range),
]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Augmentation:
    """The `augmentation` of a `training` section: what is done to each training image, anew each time."""

    crop: Annotated[int, Field(ge=0, description="shift by up to so many pixels each way; black comes in")] = 0
    flip: Annotated[bool, Field(description="mirror left and right, every second image")] = False
    resized_crop: Annotated[
        Areas | None,
        Field(description="enlarge a part to the full size: its smallest and largest share of the area"),
    ] = None
    brightness: Annotated[Share, Field(description="scale by a factor of 1 - b to 1 + b")] = 0.0
    contrast: Annotated[Share, Field(description="scale the distance from the mean by 1 - c to 1 + c")] = 0.0
    saturation: Annotated[Share, Field(description="scale the distance from grey by 1 - s to 1 + s")] = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5, description="turn the colours by up to that share of a circle")] = 0.0
    jitter_probability: Annotated[
        Share, Field(description="share of the images whose brightness, contrast, saturation and hue change")
    ] = 1.0
    greyscale: Annotated[Share, Field(description="share of the images that lose their colour")] = 0.0
    cutout: Annotated[int, Field(ge=0, description="side of a black square in pixels; its centre is anywhere")] = 0

    def check(self, shape: tuple[int, ...]) -> None:
        """Check that samples of ``shape`` can be augmented like this.

        Raises:
            OptionError: they are no images, have colours that are not red, green and blue, or are too small.

        >>> Augmentation(crop=40).check((3, 32, 32))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        cl_engine.kinds.problems.OptionError: augmentation.crop: got 40 for images of 32 x 32 pixels; allowed: ...
        """
        if len(shape) != 3:
            what = f"a sample has the shape {list(shape)}; allowed: images [C, H, W], or no augmentation"
            raise OptionError("augmentation", what)
        channels, height, width = shape
        for name in ("crop", "cutout"):
            given, most = getattr(self, name), min(height, width) - 1
            if given > most:
                what = f"got {given} for images of {height} x {width} pixels; allowed: at most {most}"
                raise OptionError(f"augmentation.{name}", what)
        for name in ("contrast", "saturation", "hue", "greyscale"):
            if getattr(self, name) and channels not in (1, 3):
                what = f"needs grey or red, green and blue, but an image has {channels} channels; allowed: 0"
                raise OptionError(f"augmentation.{name}", what)


PRESETS = {
    "standard": Augmentation(crop=4, flip=True),  # He et al., CVPR 2016, section 4.2
    "cifar": Augmentation(crop=4, flip=True, brightness=63 / 255),  # MEMO (ICLR 2023) and PyCIL
    # The views of Khosla et al., NeurIPS 2020, for CIFAR; its hue turns in HSV, ours in YIQ.
    "contrastive": Augmentation(
        resized_crop=(0.2, 1.0), flip=True, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1,
        jitter_probability=0.8, greyscale=0.2,
    ),
    # The views of the code released with PRD (Asadi et al., ICML 2023) for CIFAR.
    "prd": Augmentation(
        crop=4, flip=True, brightness=0.4, contrast=0.4, saturation=0.4, jitter_probability=0.8, greyscale=0.2
    ),
}  # fmt: skip


def augmentation_of(option: str | Mapping[str, Any] | None) -> Augmentation | None:
    """Return the augmentation that an option means: the word of a preset, a mapping of options, or None.

    Raises:
        Problems: no such preset, or wrong options; paths are relative to ``option``.

    >>> augmentation_of("standard") == augmentation_of({"crop": 4, "flip": True})
    True
    """
    if option is None:
        return None
    if isinstance(option, Mapping):
        return Augmentation(**validate(Augmentation, option))
    if isinstance(option, str) and option in PRESETS:
        return PRESETS[option]
    what = f"there is no augmentation {shown(option)}{did_you_mean(str(option), PRESETS)}"
    raise Problems([Problem((), f"{what}; allowed: {', '.join(PRESETS)}, or a mapping of options")])


def augment(x: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Return each image of a batch augmented by a draw of its own; the batch itself where nothing is turned on.

    The draws are made on the CPU, so they repeat on every device, and nothing waits for the device.  An option
    that is turned on moves no other's draws.

    Args:
        x: uint8 ``[B, C, H, W]``.
        augmentation: what to do.
        generator: a CPU generator.

    Returns:
        uint8 ``[B, C, H, W]``.

    Raises:
        OptionError: ``x`` holds no uint8 images, or ones that do not fit (:meth:`Augmentation.check`).

    >>> x = torch.arange(4, dtype=torch.uint8).view(1, 1, 1, 4)
    >>> augment(x, Augmentation(flip=True), torch.Generator().manual_seed(1)).flatten().tolist()
    [3, 2, 1, 0]
    """
    if x.dtype != torch.uint8:
        what = f"the samples are {str(x.dtype).removeprefix('torch.')} {list(x.shape)}"
        raise OptionError("augmentation", f"{what}; allowed: uint8 images [B, C, H, W], or no augmentation")
    augmentation.check(tuple(x.shape[1:]))
    mixes = x.shape[1] == 3 and bool(augmentation.saturation or augmentation.hue or augmentation.greyscale)
    recolours = mixes or augmentation.brightness > 0 or augmentation.contrast > 0
    if augmentation == Augmentation() or not len(x):
        return x
    draws = Draws(*torch.rand(len(Draws._fields), len(x), dtype=torch.float64, generator=generator))
    flipped = (draws.flip < 0.5) & augmentation.flip
    out = x
    with _full_precision(x.device.type):
        if augmentation.resized_crop is not None:
            if augmentation.crop:
                out = _cropped(out, augmentation.crop, draws, torch.zeros_like(flipped))
            out = _resized(out, augmentation.resized_crop, draws, flipped)
        elif augmentation.crop or augmentation.flip:
            out = _cropped(out, augmentation.crop, draws, flipped)
        if recolours:
            out = _recoloured(out, augmentation, draws, mixes)
    if out.is_floating_point():
        out = out.round_().clamp_(0, 255).to(torch.uint8)
    return _cut_out(out, augmentation.cutout, draws) if augmentation.cutout else out


def views(x: Tensor, augmentation: Augmentation, generator: torch.Generator, count: int = 2) -> Tensor:
    """Return ``count`` augmentations of a batch, one after the other, each with its own draws.

    Args:
        x: uint8 ``[B, C, H, W]``.
        augmentation: what to do.
        generator: a CPU generator.
        count: at least 1.

    Returns:
        uint8 ``[count * B, C, H, W]``: the first view of all images, then the second, ...

    Raises:
        OptionError: as :func:`augment`.

    >>> views(torch.zeros(5, 3, 8, 8, dtype=torch.uint8), PRESETS["standard"], torch.Generator()).shape
    torch.Size([10, 3, 8, 8])
    """
    return torch.cat([augment(x, augmentation, generator) for _ in range(count)])


class Draws(NamedTuple):
    """Uniform numbers in [0, 1), float64 ``[B]`` for every decision, in an order that never changes."""

    crop_row: Tensor
    crop_column: Tensor
    area: Tensor
    stretch: Tensor
    resized_row: Tensor
    resized_column: Tensor
    flip: Tensor
    jitter: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    greyscale: Tensor
    hole_row: Tensor
    hole_column: Tensor


def _cropped(x: Tensor, padding: int, draws: Draws, flipped: Tensor) -> Tensor:
    """Return the windows of the zero-padded images that the draws choose, mirrored where ``flipped``."""
    count, channels, height, width = x.shape
    column = torch.arange(width)
    top = (draws.crop_row * (2 * padding + 1)).long()
    left = (draws.crop_column * (2 * padding + 1)).long()
    rows = _moved(top[:, None] + torch.arange(height), x)
    columns = _moved(left[:, None] + torch.where(flipped[:, None], column.flip(0), column), x)
    pixels = (rows[:, :, None] * (width + 2 * padding) + columns[:, None, :]).view(count, 1, -1)
    padded = F.pad(x, (padding,) * 4).flatten(2)
    return padded.gather(2, pixels.expand(-1, channels, -1)).view(x.shape)


def _resized(x: Tensor, areas: Sequence[float], draws: Draws, flipped: Tensor) -> Tensor:
    """Return a rectangle of each image, enlarged to its full size by bilinear interpolation: float32.

    The area is uniform in ``areas``; the stretch is log-uniform in 3/4 to 4/3 as far as the rectangle fits.
    """
    area = areas[0] + (areas[1] - areas[0]) * draws.area
    limit = area.log().neg().clamp(max=math.log(STRETCH))
    stretch = ((2 * draws.stretch - 1) * limit).exp()
    height, width = (area / stretch).sqrt(), (area * stretch).sqrt()
    down = _interpolation(x, 2, height, draws.resized_row, torch.zeros_like(flipped))
    across = _interpolation(x, 3, width, draws.resized_column, flipped)
    # A separable interpolation is two matrix products, which are faster than looking up four neighbours a pixel.
    # With the channels in the middle, each is one product an image, for all channels together.
    count, channels, rows, columns = x.shape
    lines = torch.bmm(down, x.transpose(1, 2).reshape(count, rows, -1).float())
    enlarged = torch.bmm(lines.view(count, -1, columns), across.mT)
    return enlarged.view(count, rows, channels, columns).transpose(1, 2).contiguous()


def _interpolation(x: Tensor, axis: int, share: Tensor, draw: Tensor, flipped: Tensor) -> Tensor:
    """Return float32 ``[B, n, n]``: by what each of n pixels in a line adds to each of the n enlarged ones."""
    n = x.shape[axis]
    pixel = torch.arange(n)
    target = torch.where(flipped[:, None], pixel.flip(0), pixel)
    source = n * (1 - share) * draw
    position = (source[:, None] + share[:, None] * (target + 0.5) - 0.5).clamp(0, n - 1)
    distance = _moved(position.float(), x)[:, :, None] - torch.arange(n, device=x.device)
    return (1 - distance.abs_()).clamp_(min=0)


def _recoloured(x: Tensor, augmentation: Augmentation, draws: Draws, mixes: bool) -> Tensor:
    """Return float32 images whose colours went through one affine map each.

    Every step is linear in a pixel and the mean grey of its image, and the ones after contrast leave grey alone.
    """
    jitters = draws.jitter < augmentation.jitter_probability
    brightness = _factor(draws.brightness, augmentation.brightness, jitters)
    contrast = _factor(draws.contrast, augmentation.contrast, jitters)
    gain = (brightness * contrast)[:, None, None]
    pixels = x.flatten(2).float()
    shift = None
    if augmentation.contrast:
        weights = torch.tensor(LUMA if x.shape[1] == 3 else (1.0,), dtype=torch.float64)
        means = pixels.mean(2) * _moved(((1 - contrast) * brightness)[:, None] * weights, x)
        shift = means.sum(1)[:, None, None]
    if mixes:
        pixels = torch.bmm(_moved(gain * _mixture(augmentation, draws, jitters), x), pixels)
    else:
        pixels *= _moved(gain, x)
    if shift is not None:
        pixels += shift
    return pixels.view(x.shape)


def _mixture(augmentation: Augmentation, draws: Draws, jitters: Tensor) -> Tensor:
    """Return what saturation, hue and greyscale do to a pixel's red, green and blue: float64 ``[B, 3, 3]``."""
    same, yiq = torch.eye(3, dtype=torch.float64), torch.tensor(YIQ, dtype=torch.float64)
    grey = yiq[0].expand(3, 3)
    saturation = _factor(draws.saturation, augmentation.saturation, jitters)[:, None, None]
    angle = 2 * math.pi * (_factor(draws.hue, augmentation.hue, jitters) - 1)
    zero, one, cos, sin = torch.zeros_like(angle), torch.ones_like(angle), angle.cos(), angle.sin()
    turn = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], 1).view(-1, 3, 3)
    mixture = yiq.inverse() @ turn @ yiq @ (saturation * same + (1 - saturation) * grey)
    return torch.where((draws.greyscale < augmentation.greyscale)[:, None, None], grey, mixture)


def _factor(draw: Tensor, strength: float, jitters: Tensor) -> Tensor:
    """Return factors uniform in 1 - strength to 1 + strength; 1 for images that do not jitter."""
    return 1 + strength * (2 * draw - 1) * jitters


def _cut_out(x: Tensor, side: int, draws: Draws) -> Tensor:
    """Return the images with a black square each, cut at the border (DeVries and Taylor, arXiv:1708.04552)."""
    hole = []
    for draw, n in ((draws.hole_row, x.shape[2]), (draws.hole_column, x.shape[3])):
        offset = torch.arange(n) - ((draw * n).long() - side // 2)[:, None]
        hole.append(_moved((offset >= 0) & (offset < side), x))
    return x.masked_fill((hole[0][:, :, None] & hole[1][:, None, :])[:, None], 0)


def _full_precision(device: str) -> AbstractContextManager[Any]:
    """Turn autocast off: bfloat16 cannot tell neighbouring pixel values apart.  The meta device has none."""
    return nullcontext() if device == "meta" else torch.autocast(device, enabled=False)


def _moved(parameters: Tensor, x: Tensor) -> Tensor:
    """Return parameters made on the CPU on the device of ``x``, as float32 if they are float64."""
    if parameters.dtype == torch.float64:
        parameters = parameters.float()
    return parameters.to(x.device, non_blocking=True)
