"""MEMO: a new specialised block for each experience over one generalised part."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.memory.exemplars import Quota, Selection
from cl_engine.models.backbone import BackboneOption
from cl_engine.models.branched import Branched
from cl_engine.models.heads import Head
from cl_engine.strategies.rehearsal.replay import Replay
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit

FEW = 20  # with so many classes in the first experience, the generalised part has not seen enough to be frozen


class MEMO(Replay):
    """MEMO (Zhou et al., ICLR 2023): deep layers change most from task to task, so only they are repeated.

    Every experience from the second on copies the newest block and freezes it.  An auxiliary head tells the new
    classes from each other and from "any old one" by the newest block alone; it is gone when the experience is
    over.  Then the head's new rows are aligned, once.  Weights of the heads are drawn as everywhere in this engine,
    uniform in +-1/sqrt(features), where the released code has zero biases.
    """

    network: Branched  # type: ignore[assignment]

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        selection: Annotated[
            Selection, Field(description="which exemplars; the released code herds, the text says nearest-mean")
        ] = "herding",
        total: Annotated[
            int | None, Field(ge=1, le=10**12, description="exemplars in all, shared by the classes seen")
        ] = None,
        quota: Annotated[Quota, Field(description="floor(K / classes) each, or even shares")] = "papers",
        train_base: Annotated[
            Literal["auto"] | bool,
            Field(
                description="whether the generalised part is trained after the first experience; auto: if that had "
                "20 classes or fewer"
            ),
        ] = "auto",
        auxiliary: Annotated[float, Field(ge=0, description="weight of the auxiliary loss, alpha")] = 1.0,
    ) -> None:
        super().__init__(backbone=backbone, selection=selection, total=total, quota=quota)
        self.train_base, self.auxiliary = train_base, auxiliary
        self.first_classes = 0

    def build(self, task: Task) -> Branched:  # type: ignore[override]
        """Return the network of the first experience, with one block."""
        generator = task.generator("backbone")
        return Branched(self.backbone, task.shape, generator, task.device, task.normalisation)

    def extend(self, task: Task) -> None:
        """Branch off a new block from the second experience on; the head grows both ways."""
        if task.index == 0:
            self.first_classes = task.seen_classes
        else:
            base = self.first_classes <= FEW if self.train_base == "auto" else self.train_base
            self.network.general.requires_grad_(base)
            self.network.branch()
        width = len(self.network.blocks) * self.network.width
        self.network.head.grow(task.seen_classes, task.generator("head"), features=width)

    def train_on(self, task: Task, samples: Samples, exemplars: Samples) -> None:
        """Minimise both heads' losses; the first experience has nothing to tell its classes from."""
        if not task.old_classes:
            return super().train_on(task, samples, exemplars)
        head = task.keep("auxiliary head", lambda: self._auxiliary_head(task))
        loss = partial(self.both_losses, head=head, old=task.old_classes)
        fit(nn.ModuleList([self.network, head]), samples, task, loss, memory=exemplars)

    def both_losses(self, batch: Samples, head: Head, old: int) -> Tensor:
        """Cross-entropy over all classes, and ``auxiliary`` times that of the new ones and "any old one" (4.1)."""
        features = self.network.features(batch.x)
        scores, own = self.network.head(features), head(features[:, -self.network.width :])
        novelty = (batch.y - old + 1).clamp(min=0)  # 0: any old class
        smoothing = self.label_smoothing
        return F.cross_entropy(scores, batch.y, label_smoothing=smoothing) + self.auxiliary * F.cross_entropy(
            own, novelty, label_smoothing=smoothing
        )

    def end(self, task: Task) -> None:
        """Align the norms of the new rows with those of the old ones."""
        self.network.head.align(task.old_classes)

    def _auxiliary_head(self, task: Task) -> Head:
        head = Head(self.network.width).to(task.device)
        head.grow(task.seen_classes - task.old_classes + 1, task.generator("auxiliary head"))
        return head
