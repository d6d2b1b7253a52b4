"""What a backbone is, and how one is built from its name and a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from cl_engine.data.normalisation import Normalisation
from cl_engine.kinds.problems import OptionError, Problems
from cl_engine.kinds.registry import load
from cl_engine.kinds.signature import Part
from cl_engine.kinds.validation import resolve
from cl_engine.models.inputs import Inputs
from cl_engine.models.renaming import Renaming

BackboneOption = Annotated[
    str | dict[str, Any],
    Part("backbones"),
    Field(description="the feature extractor, by name or as {kind: name, ...}"),
]


class Backbone(nn.Module):
    """A feature extractor for samples of one shape, cut in stages: float ``[B, *shape]`` to ``[B, features]``.

    The last stage, with the pooling in it, is the specialised block of MEMO (Zhou et al., ICLR 2023, section 4):
    the part that an expandable method repeats.  All stages before it together are the generalised part; a backbone
    of a single stage has an empty one.

    Attributes:
        features: width of the output.
        stages: the stages in order; the output of each is the input of the next.
        renaming: from the names that a known checkpoint of this architecture gives its tensors.
    """

    features: int
    stages: nn.Sequential
    renaming: ClassVar[Renaming] = Renaming()

    def forward(self, x: Tensor) -> Tensor:
        """Map float samples ``[B, *shape]`` to ``[B, features]``."""
        features: Tensor = self.stages(x)
        return features

    def fill(self, generator: torch.Generator) -> None:
        """Give parameters and buffers, which have memory by now, their first values."""
        initialise(self, generator)

    def inputs(self, normalisation: Normalisation | None) -> Inputs:
        """Return what maps raw samples to what this backbone takes, in a task with such a normalisation."""
        return Inputs(normalisation)

    def own_name(self, name: str) -> str | None:
        """Return the name here of what a checkpoint of this architecture calls ``name``; None: a classifier's."""
        return self.renaming(name)

    def constants(self) -> dict[str, Tensor]:
        """Return the values of buffers that are worked out when the architecture is built, and in no file."""
        return {}


def require_images(kind: str, shape: tuple[int, ...], least: int) -> None:
    """Raise OptionError unless samples of ``shape`` are images of at least ``least`` x ``least`` pixels."""
    if len(shape) != 3 or min(shape[1:]) < least:
        raise OptionError(
            "backbone",
            f"{kind} cannot take samples of shape {list(shape)}; allowed: images of {least}x{least} or more",
        )


def global_average_pool() -> nn.Sequential:
    """Return the layer that maps ``[B, C, H, W]`` to the means ``[B, C]``, whatever H and W are."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def meta_backbone(option: str | Mapping[str, Any], shape: tuple[int, ...]) -> Backbone:
    """Build the backbone that ``option`` names on the meta device: shapes and counts, no memory, no weights.

    Raises:
        OptionError: the backbone cannot take samples of ``shape``, or its options are wrong.
    """
    try:
        options = resolve("backbones", option)
    except Problems as error:  # a file that has changed since the scenario was checked
        first = error.problems[0]
        raise OptionError(".".join(map(str, ("backbone", *first.where))), first.what) from None
    kind = options.pop("kind")
    with torch.device("meta"):
        backbone: Backbone = load("backbones", kind)(shape, **options)
    return backbone


def build_backbone(option: str | Mapping[str, Any], shape: tuple[int, ...], generator: torch.Generator) -> Backbone:
    """Build the backbone that ``option`` names, for samples of ``shape``, initialised from ``generator``.

    Raises:
        OptionError: the backbone cannot take such samples.
    """
    backbone = meta_backbone(option, shape)  # so that no layer draws from the global generator
    materialise(backbone)
    backbone.fill(generator)
    return backbone


def materialise(module: nn.Module) -> None:
    """Give what is on the meta device memory; ``to_empty`` does too, but imports sympy for it, 0.4 s a process."""
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            empty = torch.empty(parameter.shape, dtype=parameter.dtype)
            setattr(part, name, nn.Parameter(empty, parameter.requires_grad))
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, torch.empty(buffer.shape, dtype=buffer.dtype))


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights from ``generator``: He normal (fan-out) for convolutions, PyTorch's default for linears.

    Raises:
        TypeError: a layer that is none of convolution, linear and normalisation has parameters or buffers.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            bound = 1 / math.sqrt(layer.in_features)
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm):
            layer.reset_parameters()  # constants, nothing is drawn
        elif layer._parameters or layer._buffers:
            raise TypeError(
                f"cannot initialise a {type(layer).__name__}; allowed: convolution, linear, normalisation"
            )
