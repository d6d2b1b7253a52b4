"""ER as the stationary methods are compared with: a learned classifier without bias, or several of prefixes."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.kinds.problems import OptionError
from cl_engine.models.heads import NestedHead, UnbiasedHead
from cl_engine.models.network import Network
from cl_engine.strategies.rehearsal.replay import ReplayOptions
from cl_engine.strategies.stationary.replaceable import Replaceable
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task

NestingOption = Annotated[
    list[Annotated[int, Field(ge=1)]] | None,
    Field(description="prefixes of the features that are classified beside all of them (Matryoshka); null: none"),
]
EfficientOption = Annotated[
    bool, Field(description="a prefix is classified by the first columns of the one classifier there is (MRL-E)")
]


class EROptions(ReplayOptions, total=False):
    """All options of :class:`ER`."""

    nesting: NestingOption
    efficient: EfficientOption


class LearnableNetwork(Network):
    """A network whose head is linear, without bias, and grows with the classes."""

    head: UnbiasedHead  # type: ignore[assignment]


class ER(Replaceable):
    """Experience replay with a learned linear classifier without bias: the baseline of IAM-CL2R.

    It is ``replay`` but for the bias.  Its features are those of the backbone, and nothing ties them to those of
    the model before but that training starts from it.  Where the model is replaced the classifier is drawn anew, as
    in the released code.

    With ``nesting`` the cross-entropy is the sum of those of the whole features and of each prefix, all with weight
    1 (Matryoshka representation learning; Kusupati et al., NeurIPS 2022), so that a service may store the first
    values of a vector alone.  Predictions are those of the whole features.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"
    network: LearnableNetwork

    def __init__(
        self,
        *,
        nesting: NestingOption = None,
        efficient: EfficientOption = False,
        **options: Unpack[ReplayOptions],
    ) -> None:
        super().__init__(**options)
        self.nesting, self.efficient = nesting, efficient
        if efficient and not nesting:
            raise OptionError("efficient", "there is no prefix; allowed: with `nesting`")

    def build(self, task: Task) -> LearnableNetwork:
        """Return the network of the first experience."""
        generator = task.generator("backbone")
        network = LearnableNetwork(self.architecture(task), task.shape, generator, task.device, task.normalisation)
        network.head = self._head(network.backbone.features).to(task.device)
        return network

    def loss(self, batch: Samples) -> Tensor:
        """Mean cross-entropy over the batch, a scalar; with nested heads the sum of theirs."""
        return self.classified(self.embedded(self.network, batch.x), batch.y)

    def embedded(self, network: LearnableNetwork, x: Tensor) -> Tensor:
        """Return a network's features ``[B, D]`` of samples as the memory holds them: features or raw ones."""
        return x if self._on_features else network.features(x)

    def classified(self, features: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy of features ``[B, D]`` under the classifier, or the sum over all that are nested."""
        head = self.network.head
        scores = head.nested(features) if isinstance(head, NestedHead) else [head(features)]
        return torch.stack([self.cross_entropy(each, y) for each in scores]).sum()

    def _head(self, width: int) -> UnbiasedHead:
        if not self.nesting:
            return UnbiasedHead(width)
        if max(self.nesting) > width:
            raise OptionError("nesting", f"{max(self.nesting)} of {width} features; allowed: as many at most")
        return NestedHead(width, sorted({*self.nesting} - {width}), self.efficient)
