"""The four-block convolutional network of the memory-budget comparisons on ImageNet."""

from __future__ import annotations

from torch import nn

from cl_engine.models.backbone import Backbone, global_average_pool, require_images
from cl_engine.models.backbones.convnet2 import conv_block


class ConvNet4(Backbone):
    """ConvNet4 of MEMO (Zhou et al., ICLR 2023): 906,240 parameters for three input channels, 512 features.

    Four convolution blocks with 128, 128, 128 and 512 channels, the first with a 7x7 kernel and stride 2, which are
    its stages; then global average pooling.

    Raises:
        OptionError: features instead of images, or images under 32x32.
    """

    def __init__(self, shape: tuple[int, ...], /) -> None:
        super().__init__()
        require_images("convnet4", shape, least=32)
        self.features = 512
        self.stages = nn.Sequential(
            conv_block(shape[0], 128, kernel=7, stride=2),
            conv_block(128, 128),
            conv_block(128, 128),
            nn.Sequential(*conv_block(128, 512), global_average_pool()),
        )
