"""Strategies that take the features of a backbone as they are, and never train it."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.models.backbone import BackboneOption, build_backbone
from cl_engine.models.extraction import features_of
from cl_engine.strategies.strategy import Strategy
from cl_engine.terms.task import Task

CHUNK = 4096  # samples whose features are made at a time


class OnFeatures(Strategy):
    """A strategy over a frozen backbone, drawn from the seed or pretrained; ``identity`` takes samples as they are.

    Attributes:
        inputs_width: how many features the backbone has, from the first ``begin`` on.
    """

    def __init__(self, backbone: BackboneOption) -> None:
        super().__init__()
        self.backbone_option = backbone

    def begin(self, task: Task) -> None:
        """Build the frozen backbone."""
        if task.index == 0:
            backbone = build_backbone(self.backbone_option, task.shape, task.generator("backbone"))
            self.backbone = backbone.requires_grad_(False).eval().to(task.device)
            self.inputs = backbone.inputs(None).to(task.device)
            self.inputs_width = backbone.features

    @torch.no_grad()
    def backbone_features(self, x: Tensor) -> Tensor:
        """Return the backbone's features of samples ``[B, ...]``, float64 ``[B, D]``."""
        return features_of(self.backbone, self.inputs, x).double()

    def features(self, x: Tensor) -> Tensor:
        """Return what the classifier sees of samples, float64 ``[B, d]``: the backbone's features as they are."""
        return self.backbone_features(x)
