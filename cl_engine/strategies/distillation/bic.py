"""BiC: after distillation two numbers correct the bias towards the newest classes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.memory.exemplars.selection import first
from cl_engine.models.network import Network
from cl_engine.strategies.distillation.rehearsed import DistilledReplay
from cl_engine.strategies.rehearsal.replay import MemoryOptions
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.charges import bytes_of
from cl_engine.terms.task import Task
from cl_engine.terms.training import Training
from cl_engine.training.loop import fit

VALIDATION = 10  # one exemplar of so many is for the second stage
STEPS, RATE = 100, 0.05  # of the second stage, Adam on all its samples; two numbers need no more
DAMPING = 0.1  # weight of beta^2 / 2


class BiC(DistilledReplay):
    """Bias correction (Wu et al., CVPR 2019): scores of the newest group of classes become ``alpha z + beta``.

    A group is the classes that one experience added; each has its alpha and beta, 8 bytes that are held.  First the
    network learns by ``(1 - l) CE + l KD`` under a teacher whose scores are corrected.  Then it stands still, and
    the newest group's pair is fitted to a balanced validation part that the first stage did not see: a tenth of the
    exemplars of each old class, at least one, and as many samples of each class that has no exemplars yet.  They
    come out of the same budget, and are drawn anew for each experience.  Online nothing can be set aside in time:
    there the pair is fitted at the end to the exemplars themselves, as many of each class.

    Where classes return their group keeps its pair; without new classes the newest group's is fitted again.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"
    pairs: Tensor

    def __init__(
        self,
        *,
        corrections: Annotated[
            Literal["newest", "all"],
            Field(
                description="newest: earlier pairs serve the teacher once and are gone (the authors' code); all: "
                "they stay, before and behind what is trained (PyCIL, FACIL)"
            ),
        ] = "newest",
        **options: Unpack[MemoryOptions],
    ) -> None:
        super().__init__(**options)
        self.corrections = corrections

    def begin(self, task: Task) -> None:
        """Begin as replay does; new classes are a group, not corrected yet."""
        super().begin(task)
        if task.index == 0:
            self.groups: list[int] = []  # classes of each
            self.hold("pairs", torch.empty(0, 2, device=task.device), kind="corrections")
        if task.seen_classes > task.old_classes:
            self.groups.append(task.seen_classes - task.old_classes)
            self.pairs = torch.cat([self.pairs, self.pairs.new_tensor([[1.0, 0.0]])])

    def train_on(self, task: Task, samples: Samples) -> None:
        """Train the network, offline without the validation part."""
        if task.online or not task.old_classes:
            self.distil(task, samples, self.memory)
            return
        kept, y = self.memory.y.long(), samples.y
        each = max(1, len(kept) // (VALIDATION * max(1, len(torch.unique(kept)))))
        draw = task.generator("validation")
        old = some_of_each(kept, each, draw)
        new = some_of_each(y, each, draw) & ~torch.isin(y, kept)
        task.keep("validation", lambda: self.memory[old.nonzero().flatten()] + samples[new])
        rest = self.memory[(~old).nonzero().flatten()]
        task.charge("exemplars without validation", bytes_of([rest.x, rest.y]))
        self.distil(task, samples[~new], rest)

    def student_scores(self, x: Tensor) -> Tensor:
        """Return raw scores ``[B, C]``, or with ``corrections: all`` corrected ones."""
        scores = self.scores(self.network, x)
        return self.corrected(scores) if self.corrections == "all" else scores

    def teacher_scores(self, teacher: Network, x: Tensor) -> Tensor:
        """Return a teacher's scores ``[B, C]`` as they were corrected when the experience began."""
        return self.corrected(self.scores(teacher, x))

    def corrected(self, scores: Tensor) -> Tensor:
        """Return scores ``[B, C]`` with every group's pair applied."""
        sizes = torch.tensor(self.groups, device=scores.device)
        alpha, beta = self.pairs.repeat_interleave(sizes, dim=0).unbind(1)
        return alpha * scores + beta

    def predict(self, x: Tensor) -> Tensor:
        """Return corrected logits ``[B, classes]``."""
        return self.corrected(super().predict(x))

    def end(self, task: Task) -> None:
        """Fit the newest group's pair, the network standing still; one group has nothing to be corrected to."""
        if len(self.groups) < 2:
            return
        if self.corrections == "newest":
            self.pairs[:-1] = self.pairs.new_tensor([1.0, 0.0])
        self.pairs[-1] = self.pairs.new_tensor([1.0, 0.0])
        part = task.keep("validation", lambda: self._balanced(task))
        if not len(part):
            return
        with torch.no_grad():
            scores = self.corrected(torch.cat([self.scores(self.network, x) for x in torch.split(part.x, 1024)]))
        pair, newest = Pair().to(task.device), sum(self.groups[:-1])
        options = Training(
            epochs=STEPS,
            batch_size=len(part),
            lr=RATE,
            optimizer="adam",
            schedule="constant",
            updates_per_sample=STEPS / len(part),
        )

        def loss(batch: Samples) -> Tensor:
            return bias_loss(batch.x, batch.y, newest, pair.alpha, pair.beta)

        fit(pair, Samples(scores, part.y), task, loss, training=options, name="bias")
        self.pairs[-1] = torch.stack([pair.alpha, pair.beta]).detach()

    def _balanced(self, task: Task) -> Samples:
        y = self.memory.y.long()
        each = int(torch.unique(y, return_counts=True)[1].min()) if len(y) else 0
        return self.memory[some_of_each(y, each, task.generator("validation"), leave=0).nonzero().flatten()]


class Pair(nn.Module):
    """Alpha and beta of one group, at first 1 and 0."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha, self.beta = nn.Parameter(torch.ones(())), nn.Parameter(torch.zeros(()))


def bias_loss(scores: Tensor, y: Tensor, newest: int, alpha: Tensor, beta: Tensor) -> Tensor:
    """Return the mean cross-entropy of corrected scores and ``0.1 beta^2 / 2``, as in the authors' code.

    Args:
        scores: ``[B, C]``, a constant.
        y: int64 ``[B]``.
        newest: from this class on scores are ``alpha z + beta``.
        alpha: a scalar.
        beta: a scalar.

    >>> bias_loss(torch.zeros(1, 2), torch.tensor([0]), 1, torch.tensor(1.0), torch.tensor(0.0))  # log 2
    tensor(0.6931)
    """
    corrected = torch.cat([scores[:, :newest], alpha * scores[:, newest:] + beta], dim=1)
    return F.cross_entropy(corrected, y) + DAMPING * beta.square() / 2


def some_of_each(y: Tensor, count: int, generator: torch.Generator, leave: int = 1) -> Tensor:
    """Return a uniform draw of ``count`` samples of each class, bool ``[N]``; of a rare class fewer.

    Args:
        y: int64 ``[N]``.
        count: how many.
        generator: a CPU generator.
        leave: how many of each class are not drawn.

    >>> some_of_each(torch.tensor([0, 0, 1]), 1, torch.Generator()).sum()
    tensor(1)
    """
    labels = y.cpu()
    counts = (labels.bincount() - leave).clamp(0, count)
    keys = torch.rand(len(labels), generator=generator, dtype=torch.float64)
    drawn = torch.zeros(len(labels), dtype=torch.bool)
    drawn[first(labels, keys, counts)] = True
    return drawn.to(y.device)
