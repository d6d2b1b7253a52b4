"""Backbones, heads, and the network that joins them.

A backbone kind is an ``nn.Module`` class ``Backbone(shape, /, *, options...)`` with two attributes: ``features``,
the width of its output ``[B, features]``, and ``stages``, the sequence of parts it is cut in.  It gets float input
and is built on the meta device, then initialised from a named generator.

The names below are imported on first use, so that the kinds can be listed without torch.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cl_engine.models.alignment import weight_alignment
    from cl_engine.models.projected import ProjectedNetwork
    from cl_engine.models.prototypes import Prototypes, projection_head
    from cl_engine.models.simplex import simplex

_HOMES = {
    "ProjectedNetwork": "cl_engine.models.projected",
    "Prototypes": "cl_engine.models.prototypes",
    "projection_head": "cl_engine.models.prototypes",
    "simplex": "cl_engine.models.simplex",
    "weight_alignment": "cl_engine.models.alignment",
}

__all__ = ["KINDS", "ProjectedNetwork", "Prototypes", "projection_head", "simplex", "weight_alignment"]

KINDS = {
    "mlp": "cl_engine.models.backbones.mlp:MLP",
    "identity": "cl_engine.models.backbones.identity:Identity",
    "convnet2": "cl_engine.models.backbones.convnet2:ConvNet2",
    "convnet4": "cl_engine.models.backbones.convnet4:ConvNet4",
    "resnet14": "cl_engine.models.backbones.resnet_cifar:ResNet14",
    "resnet20": "cl_engine.models.backbones.resnet_cifar:ResNet20",
    "resnet26": "cl_engine.models.backbones.resnet_cifar:ResNet26",
    "resnet32": "cl_engine.models.backbones.resnet_cifar:ResNet32",
    "resnet44": "cl_engine.models.backbones.resnet_cifar:ResNet44",
    "resnet56": "cl_engine.models.backbones.resnet_cifar:ResNet56",
    "resnet110": "cl_engine.models.backbones.resnet_cifar:ResNet110",
    "resnet10": "cl_engine.models.backbones.resnet_imagenet:ResNet10",
    "resnet18": "cl_engine.models.backbones.resnet_imagenet:ResNet18",
    "resnet26-bottleneck": "cl_engine.models.backbones.resnet_imagenet:ResNet26Bottleneck",
    "resnet34": "cl_engine.models.backbones.resnet_imagenet:ResNet34",
    "resnet50": "cl_engine.models.backbones.resnet_imagenet:ResNet50",
    **{
        f"efficientnet-lite{n}": f"cl_engine.models.backbones.efficientnet_lite:EfficientNetLite{n}"
        for n in range(5)
    },
    "torchvision": "cl_engine.models.backbones.external:TorchVision",
    "timm": "cl_engine.models.backbones.external:Timm",
    "pretrained": "cl_engine.models.backbones.pretrained:Pretrained",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cl_engine.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


class _Menu(ModuleType):
    """Importing a submodule binds its name in the package; where a public name is the same, that stays bound."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(
            name, getattr(value, name) if name in _HOMES and isinstance(value, ModuleType) else value
        )


sys.modules[__name__].__class__ = _Menu
