"""FOSTER: boost the network by a second branch, then compress both into one."""

from __future__ import annotations

import copy
import dataclasses
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.losses import balanced_distillation, distillation, effective_number_weights
from cl_engine.memory.exemplars import Selection
from cl_engine.models.branched import Branched
from cl_engine.models.heads import Head
from cl_engine.models.teacher import frozen_copy
from cl_engine.strategies.rehearsal.replay import QuotaOption, Replay, SlotOptions
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit

TEMPERATURE = 2.0
BETA = Field(ge=0, lt=1)


class FOSTER(Replay):
    """FOSTER (Wang et al., ECCV 2022): feature boosting and compression, two stages in each later experience.

    Boosting: a new branch, a copy of the network's backbone, learns beside the frozen one what that one misses.
    One head stands on both; the loss is ``CE(z / w) + CE(feature head) + KD``, with scores divided by the classes'
    weights w, a head over all classes on the new branch alone, and the old head's answers for old classes, T = 2.
    Compression: the network, as it was, learns what both branches answer by balanced distillation alone, without
    weight decay.  w are :func:`cl_engine.losses.effective_number_weights` of samples and exemplars as they are
    counted, so that a class that returns weighs less.

    ``curve`` says what predicts at a boundary.  The authors report the two branches, which their code drops only
    when the next experience begins, by when the student is needed too: both are held then, and both are charged.
    Training and exemplars are the same in both; these are herded by the student.

    As in the released code the whole head on both branches learns.  The betas are PyCIL's; the authors' code lowers
    the first one from .98 to .94 over ten experiences.  Both stages train as the scenario says, for the same number
    of epochs, where the authors take 170 and 130 at a rate of .1.  After short training at small rates the student
    is far from its teacher, and as the teacher is not sure of anything yet the weights make rare classes win.

    An experience without new classes boosts too: no network grows by it.  Online the stages take turns on each
    micro-batch, and the student follows a teacher that still learns.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"
    network: Branched  # of one branch: the student

    def __init__(
        self,
        *,
        selection: Annotated[
            Selection, Field(description="as of replay, herding as in the paper; a reservoir needs `quota: even`")
        ] = "herding",
        quota: QuotaOption = "papers",
        curve: Annotated[
            Literal["compressed", "boosted"],
            Field(
                description="what predicts: the compressed network, which alone is held, or the two branches "
                "before compression (the authors' figures), which are held beside it"
            ),
        ] = "compressed",
        beta_boosting: Annotated[float, BETA, Field(description="beta of the weights while boosting")] = 0.96,
        beta_compression: Annotated[float, BETA, Field(description="beta of the weights while compressing")] = 0.97,
        **options: Unpack[SlotOptions],
    ) -> None:
        super().__init__(selection=selection, quota=quota, mix="joint", **options)
        self.boosted: Branched | None = None  # both branches, where they are held
        self.curve, self.beta_boosting, self.beta_compression = curve, beta_boosting, beta_compression

    def build(self, task: Task) -> Branched:
        """Return the network of the first experience, a whole backbone as its one branch."""
        generator = task.generator("backbone")
        return Branched(self.backbone, task.shape, generator, task.device, task.normalisation, cut=0)

    def extend(self, task: Task) -> None:
        """Add rows for the new classes to the head; where both branches are held, begin them here."""
        super().extend(task)
        if task.index and self.curve == "boosted":
            self.boosted = self.with_branch(task)

    def with_branch(self, task: Task) -> Branched:
        """Return the network with its backbone frozen, a copy of that beside it, and columns in the head for it."""
        boosted = copy.deepcopy(self.network)
        boosted.branch()
        boosted.head.grow(task.seen_classes, task.generator("boosted head"), features=boosted.backbone.features)
        return boosted

    def train_on(self, task: Task, samples: Samples) -> None:
        """Boost, then compress; the first experience has nothing to boost."""
        if not task.index:
            fit(self.network, samples, task, self.loss, memory=self.memory, mix=self.mix)
            return
        old_head = task.keep("old head", lambda: frozen_copy(self.network.head))
        head = task.keep("feature head", lambda: self._feature_head(task))
        boosted = self.boosted or task.keep("boosted", lambda: self.with_branch(task))
        counts = task.keep("class counts", lambda: self.memory.y.long().bincount(minlength=task.seen_classes))
        counts += samples.y.bincount(minlength=task.seen_classes)

        boosting = partial(
            self.boosting_loss,
            boosted=boosted,
            head=head,
            old_head=old_head,
            old=task.old_classes,
            weights=effective_number_weights(counts, self.beta_boosting).float(),
        )
        fit(nn.ModuleList([boosted, head]), samples, task, boosting, memory=self.memory, mix=self.mix)
        boosted.zero_grad()  # from here on a teacher

        weights = effective_number_weights(counts, self.beta_compression).float()
        compression = partial(self.compression_loss, boosted=boosted, weights=weights)
        training = dataclasses.replace(task.training, weight_decay=0.0)
        fit(
            self.network,
            samples,
            task,
            compression,
            memory=self.memory,
            mix=self.mix,
            training=training,
            name="compression",
        )

    def boosting_loss(
        self, batch: Samples, boosted: Branched, head: Head, old_head: Head, old: int, weights: Tensor
    ) -> Tensor:
        """Return ``CE(z / w) + CE(feature head) + KD(old classes)``, a scalar.

        Args:
            batch: new samples and exemplars.
            boosted: both branches; z are its scores.
            head: the feature head, on the new branch.
            old_head: the network's as it was, on the frozen branch.
            old: how many classes are old.
            weights: w, ``[C]``.
        """
        features = boosted.features(batch.x)
        before, new = features[:, : -boosted.width], features[:, -boosted.width :]
        scores: Tensor = boosted.head(features)
        cross_entropy = partial(F.cross_entropy, target=batch.y, label_smoothing=self.label_smoothing)
        kept = distillation(scores[:, :old], old_head(before)[:, :old], TEMPERATURE)
        return cross_entropy(scores / weights) + cross_entropy(head(new)) + kept

    def compression_loss(self, batch: Samples, boosted: Branched, weights: Tensor) -> Tensor:
        """Return the balanced distillation of both branches into the student, T = 2, a scalar."""
        with torch.no_grad():
            taught = boosted(batch.x)
        return balanced_distillation(self.network(batch.x), taught, weights, TEMPERATURE)

    def predict(self, x: Tensor) -> Tensor:
        """Return logits ``[B, classes]`` of the student, or with ``curve: boosted`` of both branches."""
        logits: Tensor = (self.boosted or self.network)(x)
        return logits

    def _feature_head(self, task: Task) -> Head:
        head = Head(self.network.width).to(task.device)
        head.grow(task.seen_classes, task.generator("feature head"))
        return head
