"""ER as the stationary methods are compared with: a learned classifier without bias."""

from __future__ import annotations

from typing import ClassVar

from cl_engine.models.heads import UnbiasedHead
from cl_engine.models.network import Network
from cl_engine.strategies.stationary.replaceable import Replaceable
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class LearnableNetwork(Network):
    """A network whose head is linear, without bias, and grows with the classes."""

    head: UnbiasedHead  # type: ignore[assignment]


class ER(Replaceable):
    """Experience replay with a learned linear classifier without bias: the baseline of IAM-CL2R.

    It is ``replay`` but for the bias.  Its features are those of the backbone, and nothing ties them to those of
    the model before but that training starts from it.  Where the model is replaced the classifier is drawn anew, as
    in the released code.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"
    network: LearnableNetwork

    def build(self, task: Task) -> LearnableNetwork:
        """Return the network of the first experience."""
        generator = task.generator("backbone")
        network = LearnableNetwork(self.architecture(task), task.shape, generator, task.device, task.normalisation)
        network.head = UnbiasedHead(network.backbone.features).to(task.device)
        return network
