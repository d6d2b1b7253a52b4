"""Exemplars and a head of proxies whose old ones stand still: what PODNet and LUCIR train with."""

from __future__ import annotations

from typing import cast

import torch

from cl_engine.data.samples import Samples
from cl_engine.models.heads import ProxyHead
from cl_engine.models.imprinting import imprinted
from cl_engine.models.network import Network
from cl_engine.strategies.rehearsal.herded import HerdedReplay
from cl_engine.terms.task import Task


class ProxiedReplay(HerdedReplay):
    """Classify by the cosines of proxies, one or more a class; while the network learns, old ones are frozen.

    Offline, proxies of new classes start from the features of their classes.  Features end in the backbone's ReLU,
    where the networks of the papers have none.
    """

    proxies = 1  # of each class

    def build(self, task: Task) -> Network:
        """Return the network of the first experience, its head one of proxies."""
        network = super().build(task)
        network.head = ProxyHead(network.backbone.features, self.proxies).to(task.device)  # type: ignore[assignment]
        return network

    @property
    def head(self) -> ProxyHead:
        """The network's head, of proxies."""
        return cast(ProxyHead, self.network.head)

    def extend(self, task: Task) -> None:
        """Add proxies for the new classes; the old ones are frozen."""
        super().extend(task)
        self.head.old.requires_grad_(False)

    def teacher(self, task: Task, samples: Samples) -> Network | None:
        """Return the network as it was when the experience began; then let proxies of new classes start."""
        teacher = task.teacher(self.network)
        if teacher is not None and not (task.online or task.dry):
            self.imprint(task, samples)
        return teacher

    @torch.no_grad()
    def imprint(self, task: Task, samples: Samples) -> None:
        """Start the proxies of each new class from its features, as long as old ones are in the mean."""
        generator, length = task.generator("imprinting"), self.head.old.norm(dim=2).mean()
        for label in torch.unique(samples.y[samples.y >= task.old_classes]).tolist():
            features = self.features_of_held(samples[samples.y == label].x)
            self.head.new[label - task.old_classes] = length * imprinted(features, self.proxies, generator)
