"""The two-block convolutional network of the memory-budget comparisons."""

from __future__ import annotations

from torch import Tensor, nn

from cl_engine.models.backbone import Backbone
from cl_engine.parts import OptionError


class ConvNet2(Backbone):
    """ConvNet2 of MEMO (Zhou et al., ICLR 2023): two blocks of conv3x3, batch norm, ReLU and 2x2 max pooling.

    64 features after global average pooling; 38,976 parameters for three input channels.

    Raises:
        OptionError: features instead of images, or images under 4x4.
    """

    def __init__(self, shape: tuple[int, ...], /) -> None:
        super().__init__()
        if len(shape) != 3 or min(shape[1:]) < 4:
            raise OptionError(
                "backbone", f"convnet2 cannot take samples of shape {list(shape)}; allowed: images of 4x4 or more"
            )
        self.features = 64
        self.stage_1 = _block(shape[0], 64)
        self.stage_2 = _block(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``[B, C, H, W]`` to ``[B, 64]``."""
        features: Tensor = self.stage_2(self.stage_1(x)).mean((2, 3))
        return features


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)
    )
