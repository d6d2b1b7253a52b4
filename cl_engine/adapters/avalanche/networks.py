"""The models that strategies of Avalanche are given: a backbone of ours, and what the strategy wants behind it."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.models import SCRModel
from avalanche.models.base_model import BaseModel
from torch import Tensor, nn

from cl_engine.models.backbone import Backbone

PROJECTION = 128  # width of what SCR contrasts, as in its paper


class Classifier(nn.Linear):
    """A linear classifier with a fixed number of outputs."""

    ledger_kind = "head"


class ClassifierNetwork(nn.Module, BaseModel):  # type: ignore[misc]
    """A backbone and a linear classifier for all classes that may come."""

    def __init__(self, backbone: Backbone, classifier: nn.Module) -> None:
        super().__init__()
        self.backbone, self.classifier = backbone, classifier

    def get_features(self, x: Tensor) -> Tensor:
        """Map samples to features ``[B, D]``."""
        features: Tensor = self.backbone(x)
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Map samples to logits ``[B, classes]``."""
        logits: Tensor = self.classifier(self.backbone(x))
        return logits


def network(kind: str, backbone: Backbone, classes: int, generator: torch.Generator) -> Any:
    """Return the model of a kind (``Known.network``) with its last layers drawn from ``generator``."""
    width = backbone.features
    if kind == "features":
        return backbone
    if kind == "contrastive":
        last = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, PROJECTION))
        _draw(last, generator)
        return SCRModel(backbone, last)
    classifier = Classifier(width, classes)
    _draw(classifier, generator)
    return ClassifierNetwork(backbone, classifier)


@torch.no_grad()
def _draw(module: nn.Module, generator: torch.Generator) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            bound = layer.in_features**-0.5
            for parameter in layer.parameters():
                parameter.uniform_(-bound, bound, generator=generator)
