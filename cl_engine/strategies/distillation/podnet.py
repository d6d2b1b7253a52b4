"""PODNet: distil pooled maps of every stage, and classify by several proxies a class."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.losses import feature_distillation, pod, proxy_nca
from cl_engine.models.network import Network
from cl_engine.models.stage_maps import features_and_maps
from cl_engine.strategies.coming import coming
from cl_engine.strategies.distillation.proxied import ProxiedReplay
from cl_engine.strategies.rehearsal.replay import MemoryOptions
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class PODNet(ProxiedReplay):
    """PODNet (Douillard et al., ECCV 2020): stages, features and old proxies keep to what they were.

    The loss is that of the classifier (:func:`cl_engine.losses.proxy_nca` on a head of proxies), and for samples
    and herded exemplars alike, each times sqrt(seen classes / classes that come), ``flat`` times one minus the
    cosine of new and old features and ``spatial`` times :func:`cl_engine.losses.pod` over the outputs of all
    stages.  In a perceptron, whose stages are layers, a vector is a map of one pixel.

    Old proxies are frozen while the network learns.  Offline, proxies of new classes start from k-means of their
    features.  At the end the whole head learns on the exemplars alone, as many of each class, the network standing
    still, at half the learning rate (the authors' .05 of .1).  Features end in the backbone's ReLU, where the
    authors' ResNet has none.

    ``margin_form: released``, the default, is the loss that the published figures were made with; the margin has no
    effect in it.  The paper's form is 0 at a scale of 0 while there are two classes, which short training finds at
    once: it is for first experiences of many classes.  The scale starts at 1 as in the authors' code, from where it
    learns slowly: made for their learning rate of .1.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        proxies: Annotated[int, Field(ge=1, le=10**4, description="k, proxies of each class")] = 10,
        spatial: Annotated[float, Field(ge=0, le=1e9, description="weight of the distillation of stages")] = 3.0,
        flat: Annotated[float, Field(ge=0, le=1e9, description="weight of the distillation of features")] = 1.0,
        margin: Annotated[float, Field(ge=0, le=2, description="delta, in units of a similarity")] = 0.6,
        margin_form: Annotated[
            Literal["paper", "released"],
            Field(description="the classifier's loss of the paper, or of the released code, where delta cancels"),
        ] = "released",
        fine_tuning: Annotated[
            int, Field(ge=0, le=10**9, description="epochs of the head on the exemplars at the end; 0: none")
        ] = 20,
        **options: Unpack[MemoryOptions],
    ) -> None:
        super().__init__(**options)
        self.proxies, self.spatial, self.flat = proxies, spatial, flat
        self.margin, self.margin_form, self.fine_tuning = margin, margin_form, fine_tuning

    def train_on(self, task: Task, samples: Samples) -> None:
        """Train under the network as it was when the experience began."""
        teacher = self.teacher(task, samples)
        present = int(coming(task, samples).sum())
        loss = partial(self.distilled, teacher=teacher, factor=math.sqrt(task.seen_classes / present))
        fit(self.network, samples, task, loss, memory=self.memory, mix=self.mix)

    def distilled(self, batch: Samples, teacher: Network | None = None, factor: float = 1.0) -> Tensor:
        """Return ``NCA + factor (flat (1 - cos) + spatial POD)``, a scalar.

        Args:
            batch: new samples and exemplars.
            teacher: the network before the experience; None without old classes.
            factor: sqrt(seen classes / classes that come).
        """
        features, maps = self.stages(self.network, batch.x)
        loss = self.classification(features, batch.y)
        if teacher is None:
            return loss
        with torch.no_grad():
            old_features, old_maps = self.stages(teacher, batch.x)
        kept = self.flat * feature_distillation(features, old_features) + self.spatial * pod(maps, old_maps)
        return loss + factor * kept

    def classification(self, features: Tensor, y: Tensor) -> Tensor:
        """Return the loss of the head on features ``[B, D]``, a scalar."""
        return proxy_nca(self.head(features), y, self.margin * self.head.scale, self.margin_form)

    def stages(self, network: Network, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return features ``[B, D]`` and the outputs of all stages; of samples that are features already, none."""
        return (x, []) if self._on_features else features_and_maps(network, x)

    def end(self, task: Task) -> None:
        """Fine-tune the whole head on the exemplars; with new classes alone there is nothing to balance."""
        if not (self.fine_tuning and task.old_classes and len(self.memory)):
            return
        nothing = self.memory.take(torch.zeros(0, dtype=torch.int64, device=task.device))
        training = dataclasses.replace(task.training, epochs=self.fine_tuning, lr=task.training.lr / 2)

        def loss(batch: Samples) -> Tensor:
            return self.classification(self.features_of_held(batch.x), batch.y)

        self.head.old.requires_grad_(True)
        fit(
            self.head,
            nothing,
            task,
            loss,
            memory=self.memory,
            mix="joint",
            training=training,
            name="fine-tuning",
            whole=True,
        )
        self.head.old.requires_grad_(False)
