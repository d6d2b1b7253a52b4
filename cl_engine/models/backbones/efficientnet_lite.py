"""EfficientNet-Lite (Google, 2020): EfficientNet (Tan & Le, ICML 2019) for integer hardware.

Inverted bottlenecks with ReLU6 and without squeeze-and-excitation, padded as TensorFlow's SAME.  Stem and head have
one width in all five.  Lite0 is the table of groups below; the others multiply widths, rounded to multiples of 8,
and the repeats of all groups but the first and the last.  There is no stochastic depth.
"""

from __future__ import annotations

import math
import re
from typing import ClassVar, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.models.backbone import Backbone, global_average_pool, require_images
from cl_engine.models.renaming import Renaming

STEM, HEAD = 32, 1280


class Group(NamedTuple):
    """Blocks of one width; the first has the stride and widens."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    width: int


GROUPS = (
    Group(1, 3, 1, 1, 16),
    Group(2, 3, 2, 6, 24),
    Group(2, 5, 2, 6, 40),
    Group(3, 3, 2, 6, 80),
    Group(3, 5, 1, 6, 112),
    Group(4, 5, 2, 6, 192),
    Group(1, 3, 1, 6, 320),
)


class SameConv2d(nn.Conv2d):
    """A convolution without bias whose output has ``ceil(H / stride)`` rows; an odd zero goes below and right."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding=padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, inputs, H, W]`` to ``[B, outputs, ceil(H / stride), ceil(W / stride)]``."""
        if self.stride[0] > 1:
            (top, bottom), (left, right) = (self._zeros(size) for size in x.shape[2:])
            x = F.pad(x, (left, right, top, bottom))
        return super().forward(x)

    def _zeros(self, size: int) -> tuple[int, int]:
        missing = max((math.ceil(size / self.stride[0]) - 1) * self.stride[0] + self.kernel_size[0] - size, 0)
        return missing // 2, missing - missing // 2


class InvertedBottleneck(nn.Module):
    """1x1 convolution to ``expand`` times the channels, a depthwise one, 1x1 to ``outputs`` without activation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        middle = inputs * expand
        self.residual = stride == 1 and inputs == outputs
        self.expand = _conv_norm(inputs, middle, 1).append(nn.ReLU6()) if expand > 1 else nn.Identity()
        self.depthwise = _conv_norm(middle, middle, kernel, stride, groups=middle).append(nn.ReLU6())
        self.project = _conv_norm(middle, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, inputs, H, W]`` to ``[B, outputs, H / stride, W / stride]``."""
        projected: Tensor = self.project(self.depthwise(self.expand(x)))
        return projected + x if self.residual else projected


class EfficientNetLite(Backbone):
    """EfficientNet-Lite; 1,280 features after global average pooling.

    Eight stages: the stem and the seven groups, the head with the pooling in the last.

    Raises:
        OptionError: features instead of images, or images under 4x4.
    """

    kind: ClassVar[str]
    width: ClassVar[float]
    depth: ClassVar[float]
    renaming = Renaming(  # from the names of efficientnet-lite-pytorch, once blocks are numbered group by group
        (
            (r"_conv_stem\.", "stages.0.0."),
            (r"_bn0\.", "stages.0.1."),
            (r"(stages\.\d+\.\d+\.)_expand_conv\.", r"\1expand.0."),
            (r"(stages\.\d+\.\d+\.)_bn0\.", r"\1expand.1."),
            (r"(stages\.\d+\.\d+\.)_depthwise_conv\.", r"\1depthwise.0."),
            (r"(stages\.\d+\.\d+\.)_bn1\.", r"\1depthwise.1."),
            (r"(stages\.\d+\.\d+\.)_project_conv\.", r"\1project.0."),
            (r"(stages\.\d+\.\d+\.)_bn2\.", r"\1project.1."),
            (r"_conv_head\.", "stages.7.1.0."),
            (r"_bn1\.", "stages.7.1.1."),
        ),
        classifier=("_fc.",),
    )

    def __init__(self, shape: tuple[int, ...], /) -> None:
        super().__init__()
        require_images(self.kind, shape, least=4)
        self.features = HEAD
        stages, inputs = [_conv_norm(shape[0], STEM, 3, stride=2).append(nn.ReLU6())], STEM
        for group in GROUPS:
            blocks, outputs = nn.Sequential(), _rounded(group.width * self.width)
            for n in range(self._repeats(group)):
                blocks.append(
                    InvertedBottleneck(inputs, outputs, group.kernel, 1 if n else group.stride, group.expand)
                )
                inputs = outputs
            stages.append(blocks)
        head = _conv_norm(inputs, HEAD, 1).append(nn.ReLU6())
        stages[-1].append(head).append(global_average_pool())
        self.stages = nn.Sequential(*stages)

    def own_name(self, name: str) -> str | None:
        """Return the name here of what efficientnet-lite-pytorch calls ``name``; it numbers blocks throughout."""
        if found := re.match(r"_blocks\.(\d+)\.", name):
            places = [(g, n) for g, group in enumerate(GROUPS, 1) for n in range(self._repeats(group))]
            number = int(found[1])
            if number >= len(places):
                return name
            name = "stages.{}.{}.".format(*places[number]) + name[found.end() :]
        return super().own_name(name)

    def _repeats(self, group: Group) -> int:
        ends = group in (GROUPS[0], GROUPS[-1])
        return group.repeats if ends else math.ceil(group.repeats * self.depth)


def _rounded(width: float) -> int:
    """Return the nearest multiple of 8, or the next one where that would lose over a tenth.

    >>> _rounded(16 * 1.2), _rounded(24 * 1.1)
    (24, 24)
    """
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * width else nearest + 8


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = SameConv2d(inputs, outputs, kernel, stride, groups)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01))


class EfficientNetLite0(EfficientNetLite):
    """EfficientNet-Lite0: 3,371,008 parameters, 1,280 features; trained at 224x224."""

    kind, width, depth = "efficientnet-lite0", 1.0, 1.0


class EfficientNetLite1(EfficientNetLite):
    """EfficientNet-Lite1: 4,135,680 parameters, 1,280 features; trained at 240x240."""

    kind, width, depth = "efficientnet-lite1", 1.0, 1.1


class EfficientNetLite2(EfficientNetLite):
    """EfficientNet-Lite2: 4,811,072 parameters, 1,280 features; trained at 260x260."""

    kind, width, depth = "efficientnet-lite2", 1.1, 1.2


class EfficientNetLite3(EfficientNetLite):
    """EfficientNet-Lite3: 6,916,096 parameters, 1,280 features; trained at 280x280."""

    kind, width, depth = "efficientnet-lite3", 1.2, 1.4


class EfficientNetLite4(EfficientNetLite):
    """EfficientNet-Lite4: 11,725,568 parameters, 1,280 features; trained at 300x300."""

    kind, width, depth = "efficientnet-lite4", 1.4, 1.8
