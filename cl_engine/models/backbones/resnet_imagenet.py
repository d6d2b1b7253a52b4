"""Residual networks for large images (He et al., CVPR 2016, section 4.1).

A 7x7 stem with stride 2 and max pooling, then four groups of residual blocks; the last three halve the resolution.
A bottleneck block has its stride at the 3x3 convolution, as the widely used ResNet v1.5.  Numbers of parameters are
for three input channels.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.models.backbone import Backbone, global_average_pool, require_images
from cl_engine.models.renaming import Renaming

WIDTHS = (64, 128, 256, 512)


class Block(nn.Module):
    """A residual block: ``[B, inputs, H, W]`` to ``[B, width * expansion, H / stride, W / stride]``.

    The shortcut is the input itself, or a 1x1 convolution with batch norm where the shape changes.
    """

    expansion: ClassVar[int]

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.convolutions = self._convolutions(inputs, width, stride)
        self.shortcut = (
            nn.Identity() if stride == 1 and inputs == outputs else _conv_norm(inputs, outputs, 1, stride)
        )

    def _convolutions(self, inputs: int, width: int, stride: int) -> nn.Sequential:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return ``relu(convolutions(x) + shortcut(x))``."""
        return F.relu(self.convolutions(x) + self.shortcut(x))


class BasicBlock(Block):
    """Two 3x3 convolutions."""

    expansion = 1

    def _convolutions(self, inputs: int, width: int, stride: int) -> nn.Sequential:
        return nn.Sequential(_conv_norm(inputs, width, 3, stride), nn.ReLU(), _conv_norm(width, width, 3))


class Bottleneck(Block):
    """A 1x1 convolution to ``width`` channels, a 3x3 one there, and a 1x1 one to four times as many."""

    expansion = 4

    def _convolutions(self, inputs: int, width: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            _conv_norm(inputs, width, 1),
            nn.ReLU(),
            _conv_norm(width, width, 3, stride),
            nn.ReLU(),
            _conv_norm(width, width * self.expansion, 1),
        )


class ResNetImageNet(Backbone):
    """A residual network for large images; 512 features, or 2,048 with bottlenecks, after global average pooling.

    Five stages: the stem and the four groups.  The cut of MEMO (Zhou et al., ICLR 2023, section 4.2) leaves the
    last group, with the pooling, as the specialised block.

    Raises:
        OptionError: features instead of images, or images under 32x32.
    """

    kind: ClassVar[str]  # the name of the backbone in a scenario
    block: ClassVar[type[Block]]
    blocks: ClassVar[tuple[int, int, int, int]]  # residual blocks of each group
    renaming = Renaming(  # from the names of torchvision
        (
            (r"conv1\.", "stages.0.0.0."),
            (r"bn1\.", "stages.0.0.1."),
            (r"layer(\d)\.(\d+)\.conv1\.", r"stages.\1.\2.convolutions.0.0."),
            (r"layer(\d)\.(\d+)\.bn1\.", r"stages.\1.\2.convolutions.0.1."),
            (r"layer(\d)\.(\d+)\.conv2\.", r"stages.\1.\2.convolutions.2.0."),
            (r"layer(\d)\.(\d+)\.bn2\.", r"stages.\1.\2.convolutions.2.1."),
            (r"layer(\d)\.(\d+)\.conv3\.", r"stages.\1.\2.convolutions.4.0."),
            (r"layer(\d)\.(\d+)\.bn3\.", r"stages.\1.\2.convolutions.4.1."),
            (r"layer(\d)\.(\d+)\.downsample\.", r"stages.\1.\2.shortcut."),
        ),
        classifier=("fc.",),
    )

    def __init__(self, shape: tuple[int, ...], /) -> None:
        super().__init__()
        require_images(self.kind, shape, least=32)
        self.features = WIDTHS[-1] * self.block.expansion
        stem = nn.Sequential(
            _conv_norm(shape[0], WIDTHS[0], 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1)
        )
        groups, inputs = [], WIDTHS[0]
        for width, count in zip(WIDTHS, self.blocks, strict=True):
            first = self.block(inputs, width, stride=1 if width == WIDTHS[0] else 2)
            inputs = width * self.block.expansion
            groups.append(nn.Sequential(first, *(self.block(inputs, width, stride=1) for _ in range(count - 1))))
        groups[-1].append(global_average_pool())
        self.stages = nn.Sequential(stem, *groups)


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class ResNet10(ResNetImageNet):
    """ResNet-10 for large images: 4,905,792 parameters, 512 features."""

    kind, block, blocks = "resnet10", BasicBlock, (1, 1, 1, 1)


class ResNet18(ResNetImageNet):
    """ResNet-18 for large images: 11,176,512 parameters, 512 features; the reference of MEMO on ImageNet."""

    kind, block, blocks = "resnet18", BasicBlock, (2, 2, 2, 2)


class ResNet26Bottleneck(ResNetImageNet):
    """ResNet-26 of bottlenecks for large images: 13,946,176 parameters, 2,048 features."""

    kind, block, blocks = "resnet26-bottleneck", Bottleneck, (2, 2, 2, 2)


class ResNet34(ResNetImageNet):
    """ResNet-34 for large images: 21,284,672 parameters, 512 features."""

    kind, block, blocks = "resnet34", BasicBlock, (3, 4, 6, 3)


class ResNet50(ResNetImageNet):
    """ResNet-50 for large images: 23,508,032 parameters, 2,048 features."""

    kind, block, blocks = "resnet50", Bottleneck, (3, 4, 6, 3)
