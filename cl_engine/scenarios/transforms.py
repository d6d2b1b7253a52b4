"""Carry out the transforms that a plan describes; a domain of the data's own is described among them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.randomness import numpy_generator

IMAGES_AT_ONCE = 2048  # bounds the float copies that a rotation makes


def apply(transform: Mapping[str, Any], images: Tensor) -> Tensor:
    """Return ``images`` transformed, with the same shape, dtype and device.

    Args:
        transform: ``{"kind": "identity"}``, ``{"kind": "permutation", "seed": int}``,
            ``{"kind": "rotation", "degrees": float}``, counter-clockwise, or ``{"kind": "domain", "domain": int}``,
            images of that domain of the data as they are.
        images: images ``[N, C, H, W]``, whose channels share one permutation of the pixel positions, or
            features ``[N, D]``, whose columns are permuted.

    Raises:
        ValueError: an unknown kind, or a rotation of feature vectors.
    """
    kind = transform["kind"]
    if kind in ("identity", "domain"):
        return images
    if kind == "permutation":
        return _permuted(images, int(transform["seed"]))
    if kind == "rotation":
        if images.dim() != 4:
            raise ValueError(f"a rotation needs images [N, C, H, W], got features {list(images.shape)}")
        return torch.cat(
            [_rotated(part, float(transform["degrees"])) for part in torch.split(images, IMAGES_AT_ONCE)]
        )
    raise ValueError(f"unknown transform {kind!r}; known: identity, permutation, rotation, domain")


def domain_of(transform: Mapping[str, Any]) -> int | None:
    """Return the domain of the data that a plan's transform stands for, or None for one that is carried out."""
    return int(transform["domain"]) if transform["kind"] == "domain" else None


def _permuted(images: Tensor, seed: int) -> Tensor:
    flat = images.flatten(2) if images.dim() == 4 else images
    order = numpy_generator(seed, "pixel_permutation").permutation(flat.shape[-1])
    return flat[..., torch.from_numpy(order).to(images.device)].reshape(images.shape)


def _rotated(images: Tensor, degrees: float) -> Tensor:
    """Rotate about the centre; bilinear, zeros from outside."""
    height, width = images.shape[-2:]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # Grid coordinates run from -1 to 1 along either side, so a turn of a non-square image carries its aspect.
    inverse = torch.tensor([[cosine, -sine * height / width, 0.0], [sine * width / height, cosine, 0.0]])
    values = images if images.is_floating_point() else images.float()
    grid = F.affine_grid(inverse.to(values)[None], [1, 1, height, width], align_corners=False)
    grid = grid.expand(len(images), -1, -1, -1)
    turned = F.grid_sample(values, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return turned if images.is_floating_point() else turned.round().clamp(0, 255).to(images.dtype)
