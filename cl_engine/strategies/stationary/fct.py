"""FCT: what a service has stored is mapped into the space of the new model; FastFill says how sure that is."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.kinds.problems import OptionError
from cl_engine.losses import supervised_contrastive
from cl_engine.models.projected import ProjectedNetwork
from cl_engine.models.transformation import Mapped, Transformation
from cl_engine.strategies.stationary.er import EROptions, LearnableNetwork
from cl_engine.strategies.stationary.succeeding import Succeeding
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.charges import bytes_of
from cl_engine.terms.task import Task
from cl_engine.training.loop import decoded, fit

SIMCLR_TEMPERATURE = 0.5
SMOOTHING = 0.1  # of FastFill's cross-entropy


class FCT(Succeeding):
    """FCT (Ramanujan et al., CVPR 2022): a network trained as ``er``, and a map from the model before to it.

    Once the network is trained, a perceptron (:class:`Transformation`) learns to make its features out of those of
    the model before and of side information: by their mean squared error, on the pairs that samples and exemplars
    give.  What a service has stored is mapped; nothing keeps the features themselves compatible.  With ``form:
    fastfill`` (Jaeckle et al., ICLR 2023) the loss is :func:`fastfill_loss`, and the map says of each vector how
    far off it expects to be: the order in which to embed images anew.

    Side information, ``side`` values that a service stores beside each vector from the day it comes, is a
    projection that was learned without labels in the first experience (SimCLR; Chen et al., ICML 2020) and stays as
    it is, also where models are received.  Its two views differ as ``training.augmentation`` makes them; without
    one, by nothing.  The released side network was trained on ImageNet, and has 128 outputs.

    The map trains as released: Adam at 5e-4 with weight decay 2^-15, warm-up of 5 epochs, a cosine, 80 epochs,
    batch norm standing still in the second half of them; but in the batches of the scenario, there 1,024, and with
    inner layers of 512 units, there 2,048.  Pairs are made once, of samples without augmentation; the released code
    makes them of augmented images in every epoch.  Online pairs are those of the exemplars, when the experience
    ends.

    Held beside the network: the map from the last model to this one, and the side network.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"
    map: Transformation
    side_network: ProjectedNetwork

    def __init__(
        self,
        *,
        form: Annotated[
            Literal["fct", "fastfill"],
            Field(description="the map learns features alone, or by the new classifier too, and how far off it is"),
        ] = "fct",
        side: Annotated[
            int, Field(ge=0, le=10**6, description="values of side information beside each vector; 0: none")
        ] = 0,
        width: Annotated[int, Field(ge=1, le=10**6, description="units of the map's inner layers")] = 512,
        map_epochs: Annotated[int, Field(ge=1, le=10**6, description="epochs in which the map learns")] = 80,
        **options: Unpack[EROptions],
    ) -> None:
        super().__init__(**options)
        self.form, self.side, self.width, self.map_epochs = form, side, width, map_epochs

    def begin(self, task: Task) -> None:
        """Begin as ``er`` does, with a new map from the second experience on."""
        old = self.network.backbone.features if task.index else 0
        super().begin(task)
        if self.side and self._on_features:
            raise OptionError("side", "is made of samples, and `codec: features` keeps none; allowed: 0")
        if task.index:
            new, draw = self.network.backbone.features, task.generator("map")
            made = Transformation(old, new, self.side, self.width, self.form == "fastfill", draw)
            self.map = made.to(task.device)
        elif self.side:
            draw = task.generator("side network")
            told = task.shape, draw, task.device, task.normalisation
            self.side_network = ProjectedNetwork(self.architecture(task), *told, width=self.side)

    def learn(self, task: Task, samples: Samples) -> None:
        """In the first experience learn side information; learn as ``er`` does, and the map."""
        if self.side and not task.index:
            fit(self.side_network, samples, task, self.instances, views=2, name="side")
        super().learn(task, samples)

    def instances(self, batch: Samples) -> Tensor:
        """Return SimCLR's loss of two views of each sample, a scalar: each view finds the other among all."""
        which = torch.arange(len(batch) // 2, device=batch.y.device).repeat(2)
        return supervised_contrastive(self.side_network.project(batch.x), which, SIMCLR_TEMPERATURE)

    def train_on(self, task: Task, samples: Samples) -> None:
        """Train the network; then, unless samples still come, the map."""
        teacher = self.predecessor(task)
        super().train_on(task, samples)
        if teacher is not None and not task.online:
            self.train_map(task, teacher, [samples, decoded(self.memory, task)])

    def end(self, task: Task) -> None:
        """Online train the map on what the memory has."""
        teacher = self.predecessor(task)
        if teacher is not None and task.online:
            kept = decoded(self.memory, task)
            self.train_map(task, teacher, [kept])
            self.memory.update(kept[:0], self._limits(task), task.generator("exemplars"), self.chosen_by(task))

    def train_map(self, task: Task, teacher: LearnableNetwork, parts: list[Samples]) -> None:
        """Train the map on pairs of old and new vectors of samples as the memory holds them."""
        pairs = self.pairs(task, teacher, parts)
        if len(pairs) < 2:
            return  # batch norm knows no single one
        epochs, size = self.map_epochs, task.training.batch_size
        per_epoch = len(pairs) // size + (len(pairs) % size > 1)
        settle = partial(self._settle, [0], math.ceil(epochs / 2) * per_epoch)
        training = replace(
            task.training,
            epochs=epochs,
            lr=5e-4,
            optimizer="adam",
            weight_decay=2**-15,
            schedule="cosine",
            warmup=min(5, epochs // 2),
            augmentation=None,
            accumulate=1,
        )
        fit(self.map, pairs, task, self.map_loss, training=training, name="map", after_step=settle, whole=True)

    def pairs(self, task: Task, teacher: LearnableNetwork, parts: list[Samples]) -> Samples:
        """Return what was stored of samples, as ``x``, with what the network makes of them now, charged."""
        stored = [self.through(task, part, partial(self._stored, teacher)) for part in parts if len(part)]
        new = [self.through(task, part, self.features_of_held) for part in parts if len(part)]
        if not stored:
            return parts[0]
        y = torch.cat([part.y for part in parts])
        made = Samples(torch.cat(stored), y, {"new": torch.cat(new)})
        task.charge("pairs", bytes_of([made.x, made.columns["new"]]))
        return made

    def map_loss(self, batch: Samples) -> Tensor:
        """Return the loss of a batch of pairs, a scalar."""
        mapped, new = self.map(batch.x), batch.columns["new"]
        if mapped.uncertainty is None:
            return F.mse_loss(mapped.features, new)
        return fastfill_loss(mapped, new, F.linear(mapped.features, self.network.head.weight.detach()), batch.y)

    def stored(self, x: Tensor) -> Tensor:
        """Return what a service stores of raw samples, ``[N, D + side]``: features beside side information."""
        return self._stored(self.network, x)

    @torch.no_grad()
    def renewed(self, vectors: Tensor) -> Mapped:
        """Map what was stored under the model before, ``[N, D + side]``; side information stays beside it."""
        mapped = self.map(vectors)
        return Mapped(torch.cat([mapped.features, vectors[:, self.map.old :]], 1), mapped.uncertainty)

    @torch.no_grad()
    def _stored(self, network: LearnableNetwork, x: Tensor) -> Tensor:
        features = [self.embedded(network, part) for part in torch.split(x, 1024)]
        if not self.side:
            return torch.cat(features)
        sides = [self.side_network.project(part) for part in torch.split(x, 1024)]
        return torch.cat([torch.cat(features), torch.cat(sides)], 1)

    def _settle(self, steps: list[int], half: int) -> None:
        """Let batch norm stand still once so many steps were taken."""
        steps[0] += 1
        if steps[0] == half:
            self.map.eval()


def fastfill_loss(mapped: Mapped, new: Tensor, scores: Tensor, y: Tensor) -> Tensor:
    """Return FastFill's loss: the mean over B of ``exp(-s) l / 2 + s / 2``, with ``l = MSE + CE``.

    At its minimum s is the logarithm of l, so that it ranks vectors by how badly they are mapped.

    Args:
        mapped: features ``[B, D]`` and s, the uncertainty ``[B]``.
        new: what they should be, ``[B, D]``, a constant; MSE is the mean over D.
        scores: of the new classifier for mapped features, ``[B, C]``; labels are smoothed by 0.1.
        y: int64 ``[B]``.

    >>> mapped = Mapped(torch.zeros(1, 2), torch.zeros(1))
    >>> fastfill_loss(mapped, torch.ones(1, 2), torch.zeros(1, 1), torch.tensor([0]))
    tensor(0.5000)
    """
    if mapped.uncertainty is None:
        raise ValueError("the map has no uncertainty; allowed: one for each vector")
    far = (mapped.features - new.detach()).square().mean(1)
    each = far + F.cross_entropy(scores, y, label_smoothing=SMOOTHING, reduction="none")
    return ((-mapped.uncertainty).exp() * each + mapped.uncertainty).mean() / 2
