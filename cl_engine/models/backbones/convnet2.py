"""The two-block convolutional network of the memory-budget comparisons."""

from __future__ import annotations

from torch import nn

from cl_engine.models.backbone import Backbone, global_average_pool, require_images


class ConvNet2(Backbone):
    """ConvNet2 of MEMO (Zhou et al., ICLR 2023): 38,976 parameters for three input channels, 64 features.

    Two blocks of conv3x3, batch norm, ReLU and 2x2 max pooling, which are its stages; then global average pooling.

    Raises:
        OptionError: features instead of images, or images under 4x4.
    """

    def __init__(self, shape: tuple[int, ...], /) -> None:
        super().__init__()
        require_images("convnet2", shape, least=4)
        self.features = 64
        self.stages = nn.Sequential(
            conv_block(shape[0], 64), nn.Sequential(*conv_block(64, 64), global_average_pool())
        )


def conv_block(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return convolution with bias, batch norm, ReLU and 2x2 max pooling: ``H x W`` over 2 * stride."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
