"""iCaRL: distilled sigmoids, herded exemplars, nearest mean of exemplars."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.models.network import Network
from cl_engine.strategies.rehearsal.herded import HerdedReplay
from cl_engine.strategies.rehearsal.nearest_mean import NearestMean
from cl_engine.strategies.rehearsal.replay import MemoryOptions
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class ICaRL(NearestMean, HerdedReplay):
    """iCaRL (Rebuffi et al., CVPR 2017): every output is a yes or no, old answers are the old network's.

    Exemplars are herded, as many as of ``replay``.  A sample is of the class whose mean of exemplars is nearest,
    features and means of unit length; the means follow from exemplars and network, so nobody holds them.  As in the
    paper what is said of old classes is distilled only: where they return, their new samples become exemplars and
    move the means, but their outputs stay the old network's.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        classifier: Annotated[
            Literal["nearest-mean", "linear"],
            Field(description="predict by the nearest mean of exemplars, or by the head that was trained"),
        ] = "nearest-mean",
        **options: Unpack[MemoryOptions],
    ) -> None:
        super().__init__(**options)
        self.classifier = classifier

    def train_on(self, task: Task, samples: Samples) -> None:
        """Train under the network as it was when the experience began."""
        loss = partial(self.loss, teacher=task.teacher(self.network), old=task.old_classes)
        fit(self.network, samples, task, loss, memory=self.memory, mix=self.mix)

    def loss(self, batch: Samples, teacher: Network | None = None, old: int = 0) -> Tensor:
        """:func:`distilled_bce` under the teacher's scores of the first ``old`` classes, a scalar."""
        targets = None if teacher is None else self.scores(teacher, batch.x)[:, :old]
        return distilled_bce(self.scores(self.network, batch.x), batch.y, targets, self.label_smoothing)

    def predict(self, x: Tensor) -> Tensor:
        """Return cosines with the classes' means (:meth:`cosines`), or logits: ``[B, classes]``."""
        return super().predict(x) if self.classifier == "linear" else self.cosines(x)


def distilled_bce(scores: Tensor, y: Tensor, old: Tensor | None, label_smoothing: float = 0.0) -> Tensor:
    """Return the binary cross-entropy of every output, summed over C and averaged over B (iCaRL, equation 1).

    With targets t it is ``-1/B sum_b sum_c t_bc log s_bc + (1 - t_bc) log (1 - s_bc)``, s the sigmoids of scores.
    The targets of old classes are ``sigmoid(old)``, also for samples of these classes; those of the other classes
    are one-hot, smoothed as of ``F.cross_entropy``.  The authors' code averages over C too, with a learning rate of
    2; the sum has the scale of a cross-entropy.

    Args:
        scores: logits ``[B, C]``.
        y: int64 ``[B]``.
        old: the teacher's logits ``[B, O]`` of classes 0 to O - 1, a constant; None without old classes.
        label_smoothing: share of a new class's target that all C classes get evenly.

    >>> import torch
    >>> distilled_bce(torch.zeros(2, 3), torch.tensor([0, 2]), torch.zeros(2, 1))  # 3 log 2
    tensor(2.0794)
    """
    classes = scores.shape[1]
    targets = F.one_hot(y, classes).to(scores) * (1 - label_smoothing) + label_smoothing / classes
    if old is not None:
        targets[:, : old.shape[1]] = old.detach().sigmoid()
    return F.binary_cross_entropy_with_logits(scores, targets, reduction="sum") / max(len(y), 1)
