"""Residual networks for small images (He et al., CVPR 2016, section 4.2).

Depth 6n + 2: a 3x3 stem and three groups of n basic blocks with 16, 32 and 64 channels, the second and the third
group at half the resolution each.  Shortcuts have no parameters (option A of the paper), convolutions have no bias,
and every block ends in ReLU, the last one too.  Numbers of parameters are for three input channels.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.models.backbone import Backbone, global_average_pool, require_images
from cl_engine.models.renaming import Renaming

Zeros = Literal["after", "around"]


class ResNetCIFAR(Backbone):
    """A residual network for small images; 64 features after global average pooling.

    Four stages: the stem and the three groups.  The cut of MEMO (Zhou et al., ICLR 2023, section 4.2) leaves the
    last group, with the pooling, as the specialised block.

    Raises:
        OptionError: features instead of images, or images under 4x4.
    """

    blocks: ClassVar[int]  # n: residual blocks of each group
    renaming = Renaming(  # from the names of akamaster/pytorch_resnet_cifar10
        (
            (r"conv1\.", "stages.0.0."),
            (r"bn1\.", "stages.0.1."),
            (r"layer(\d)\.(\d+)\.conv1\.", r"stages.\1.\2.convolutions.0."),
            (r"layer(\d)\.(\d+)\.bn1\.", r"stages.\1.\2.convolutions.1."),
            (r"layer(\d)\.(\d+)\.conv2\.", r"stages.\1.\2.convolutions.3."),
            (r"layer(\d)\.(\d+)\.bn2\.", r"stages.\1.\2.convolutions.4."),
        ),
        classifier=("linear.", "fc."),
    )

    def __init__(
        self,
        shape: tuple[int, ...],
        /,
        *,
        shortcut_zeros: Annotated[
            Zeros,
            Field(
                description="where a widening shortcut has its channels of zeros: after the input's, or half "
                "before and half after them, as in some released weights"
            ),
        ] = "after",
    ) -> None:
        super().__init__()
        self.zeros: Zeros = shortcut_zeros
        require_images(f"resnet{6 * self.blocks + 2}", shape, least=4)
        self.features = 64
        stem = nn.Sequential(nn.Conv2d(shape[0], 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.stages = nn.Sequential(
            stem,
            self._group(16, 16),
            self._group(16, 32),
            self._group(32, 64).append(global_average_pool()),
        )

    def _group(self, inputs: int, outputs: int) -> nn.Sequential:
        rest = (BasicBlock(outputs, outputs) for _ in range(self.blocks - 1))
        return nn.Sequential(BasicBlock(inputs, outputs, self.zeros), *rest)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: ``[B, inputs, H, W]`` to ``[B, outputs, H / stride, W / stride]``.

    Where the width grows, the stride is 2 and the shortcut takes every second pixel and adds channels of zeros.
    """

    def __init__(self, inputs: int, outputs: int, zeros: Zeros = "after") -> None:
        super().__init__()
        self.added = outputs - inputs
        self.before = self.added // 2 if zeros == "around" else 0
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2 if self.added else 1, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``relu(convolutions(x) + shortcut(x))``."""
        channels = (0, 0, 0, 0, self.before, self.added - self.before)
        shortcut = F.pad(x[:, :, ::2, ::2], channels) if self.added else x
        return F.relu(self.convolutions(x) + shortcut)


class ResNet14(ResNetCIFAR):
    """ResNet-14 for small images: 171,856 parameters, 64 features."""

    blocks = 2


class ResNet20(ResNetCIFAR):
    """ResNet-20 for small images: 269,072 parameters, 64 features."""

    blocks = 3


class ResNet26(ResNetCIFAR):
    """ResNet-26 for small images: 366,288 parameters, 64 features."""

    blocks = 4


class ResNet32(ResNetCIFAR):
    """ResNet-32 for small images: 463,504 parameters, 64 features; the reference of MEMO on CIFAR-100."""

    blocks = 5


class ResNet44(ResNetCIFAR):
    """ResNet-44 for small images: 657,936 parameters, 64 features."""

    blocks = 7


class ResNet56(ResNetCIFAR):
    """ResNet-56 for small images: 852,368 parameters, 64 features."""

    blocks = 9


class ResNet110(ResNetCIFAR):
    """ResNet-110 for small images: 1,727,312 parameters, 64 features."""

    blocks = 18
