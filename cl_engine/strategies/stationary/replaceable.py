"""Replay whose model may be replaced by one that was trained elsewhere."""

from __future__ import annotations

from typing import ClassVar

import torch

from cl_engine.kinds.problems import OptionError
from cl_engine.models.backbone import BackboneOption
from cl_engine.models.network import Network
from cl_engine.models.weights import WeightsError, fit_weights
from cl_engine.strategies.rehearsal.replay import Replay
from cl_engine.terms.charges import bytes_of
from cl_engine.terms.received import Received
from cl_engine.terms.task import Task


class Replaceable(Replay):
    """Where the scenario's `replace` names an experience, begin it with the model of a file (IAM-CL2R, CVPR 2024).

    What was learned before stays in the exemplars alone.  Weights of the backbone are taken over, and of what
    :attr:`taken` names; a learned classifier begins anew.  The model may have another architecture.  The file's
    tensors are charged as received while the experience is learned.
    """

    replaceable: ClassVar[bool] = True
    taken: ClassVar[tuple[str, ...]] = ()  # names of the network's own tensors beside the backbone

    def begin(self, task: Task) -> None:
        """Put the received model in the network's place, if there is one; begin as replay does."""
        if task.received is not None and task.index:
            self.network = self.build(task)
        super().begin(task)
        if task.received is not None:
            self.receive(task, task.received)

    def architecture(self, task: Task) -> BackboneOption:
        """Return the backbone of a network that is built now."""
        received = None if task.received is None else task.received.backbone
        return self.backbone if received is None else received

    def receive(self, task: Task, received: Received) -> None:
        """Copy the file's values into the network.

        Raises:
            OptionError: the file is of another architecture, or exemplars are features of the model before.
        """
        if self._on_features and task.index:
            raise OptionError(
                "strategy.codec", "would hold features of a model that is replaced; allowed: another codec"
            )
        if not received.is_there():  # a plan: the model will be trained, with this network
            task.charge("received model", bytes_of(_targets(self.network, self.taken)))
            return
        try:
            tensors = received.tensors()
            kept = {n: t for n, t in tensors.items() if n.startswith("backbone.") or n in self.taken}
            fit_weights(_targets(self.network, self.taken), kept, str)
        except WeightsError as error:
            raise OptionError("replace", f"{received.model}: {error}") from None
        task.charge("received model", bytes_of(kept))


def _targets(network: Network, taken: tuple[str, ...]) -> dict[str, torch.Tensor]:
    return {n: t for n, t in network.state_dict().items() if n.startswith("backbone.") or n in taken}
