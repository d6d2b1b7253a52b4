"""MEMO: a new specialised block for each experience over one generalised part."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.memory.exemplars import Selection
from cl_engine.models.alignment import AlignOption
from cl_engine.models.branched import Branched
from cl_engine.models.heads import Head
from cl_engine.strategies.rehearsal.replay import QuotaOption, Replay, SlotOptions
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit

FEW_CLASSES = 20  # up to so many in the first experience, the generalised part goes on learning


class MEMO(Replay):
    """MEMO (Zhou et al., ICLR 2023): deep layers differ most from task to task, so only they are repeated.

    Every experience after the first adds a copy of the newest specialised block, and earlier blocks are frozen; one
    without new classes does too.  An auxiliary head tells the new classes from each other and from "any old one" by
    the newest block alone; it exists only while an experience is learned.  At the end the head's new rows are
    aligned with the old ones' norms; the default ``align: shrink`` is ours, the paper's is ``always``
    (:func:`cl_engine.models.weight_alignment`).

    Exemplars are herded as in the authors' code, quota K // classes; `selection: nearest-mean` is the paper's text.
    How that code trains is `recipe: memo`, how its authors' survey does `recipe: memo-survey`.  New entries of a
    head are drawn from +-1/sqrt(D), biases too; in that code from +-sqrt(3/D), with biases that start at 0.

    Raises:
        OptionError: no such cut; or what is to be repeated is frozen, so that all blocks would be the same.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"
    network: Branched

    def __init__(
        self,
        *,
        selection: Annotated[
            Selection,
            Field(description="as of replay, herding as in the authors' code; a reservoir needs `quota: even`"),
        ] = "herding",
        quota: QuotaOption = "papers",
        train_base: Annotated[
            Literal["auto"] | bool,
            Field(
                description="whether the generalised part learns after the first experience; auto: where that "
                f"one had at most {FEW_CLASSES} classes"
            ),
        ] = "auto",
        auxiliary: Annotated[float, Field(ge=0, le=1e9, description="weight alpha of the auxiliary loss")] = 1.0,
        cut: Annotated[
            int | None,
            Field(
                ge=0,
                description="stages of the backbone in the generalised part, the others are repeated; default: all "
                "but the last",
            ),
        ] = None,
        align: AlignOption = "shrink",
        train_old: Annotated[
            bool,
            Field(
                description="whether earlier specialised blocks go on learning, as in the paper's study of freezing"
            ),
        ] = False,
        **options: Unpack[SlotOptions],
    ) -> None:
        super().__init__(selection=selection, quota=quota, mix="joint", **options)
        self.train_base, self.train_old = train_base, train_old
        self.auxiliary, self.cut, self.align = auxiliary, cut, align

    def build(self, task: Task) -> Branched:
        """Return the network of the first experience, with one block."""
        generator = task.generator("backbone")
        return Branched(self.backbone, task.shape, generator, task.device, task.normalisation, self.cut)

    def extend(self, task: Task) -> None:
        """Branch off a new block from the second experience on; the head grows both ways."""
        if task.index == 0:
            self.first_classes = task.seen_classes
        else:
            few = self.first_classes <= FEW_CLASSES
            self.network.general.requires_grad_(few if self.train_base == "auto" else self.train_base)
            self.network.branch(freeze=not self.train_old)
        self.grow_head(task)

    def grow_head(self, task: Task) -> None:
        """Add rows for new classes and columns for new features; what is there stays as it is."""
        width = self.network.backbone.features
        self.network.head.grow(task.seen_classes, task.generator("head"), features=width)

    def train_on(self, task: Task, samples: Samples) -> None:
        """Minimise both heads' losses; without old classes, or without new ones, there is nothing to tell apart."""
        if not 0 < task.old_classes < task.seen_classes:
            fit(self.network, samples, task, self.loss, memory=self.memory, mix=self.mix)
            return
        head = task.keep("auxiliary head", lambda: self._auxiliary_head(task))
        loss = partial(self.both_losses, head=head, old=task.old_classes)
        fit(nn.ModuleList([self.network, head]), samples, task, loss, memory=self.memory, mix=self.mix)

    def both_losses(self, batch: Samples, head: Head, old: int) -> Tensor:
        """Return ``CE(all classes) + alpha CE(any old one, new classes)``, a scalar (section 4.3).

        Args:
            batch: new samples and exemplars.
            head: the auxiliary one, ``[new + 1, D]`` on the newest block; its row 0 is "any old one".
            old: how many classes are old.
        """
        features = self.network.features(batch.x)
        newest = features[:, -self.network.width :]
        novelty = (batch.y - old + 1).clamp(min=0)
        cross_entropy = partial(F.cross_entropy, label_smoothing=self.label_smoothing)
        all_classes: Tensor = cross_entropy(self.network.head(features), batch.y)
        return all_classes + self.auxiliary * cross_entropy(head(newest), novelty)

    def end(self, task: Task) -> None:
        """Align the head's rows of new classes with those of old ones."""
        self.network.head.align(task.old_classes, self.align)

    def _auxiliary_head(self, task: Task) -> Head:
        head = Head(self.network.width).to(task.device)
        head.grow(task.seen_classes - task.old_classes + 1, task.generator("auxiliary head"))
        return head
