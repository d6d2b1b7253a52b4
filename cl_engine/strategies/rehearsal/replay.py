"""Replay: train on the new samples together with exemplars of the old ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal, TypedDict

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.signature import Alias
from cl_engine.memory.codecs.codec import CodecOption, build_codec
from cl_engine.memory.exemplars import Exemplars, Selection
from cl_engine.memory.exemplars.encoded import Column
from cl_engine.memory.exemplars.quota import Limits, Quota
from cl_engine.memory.exemplars.selection import BY_FEATURES
from cl_engine.models.backbone import BackboneOption
from cl_engine.models.network import Network
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import Mix, fit

DEFAULT_TOTAL = 200

SelectionOption = Annotated[
    Selection,
    Field(
        description="of each class a uniform sample (random, class-balanced), the newest (ring), greedy "
        "herding (iCaRL) or the nearest to the mean (MEMO's text); or one reservoir over the whole stream"
    ),
]
TotalOption = Annotated[
    int | None,
    Alias("memory_size"),
    Field(ge=1, le=10**12, description="exemplars in all, shared by the classes seen"),
]
PerClassOption = Annotated[
    int | None, Field(ge=1, le=10**12, description="exemplars of each class; not with `selection: reservoir`")
]
QuotaOption = Annotated[
    Quota, Field(description="even shares that use every slot, or floor(K / classes) each as in the papers")
]
MixOption = Annotated[
    Literal["balanced", "joint"] | Annotated[int, Field(ge=1, le=10**6)],
    Field(
        description="exemplars beside a batch of new samples: as many again (balanced), a number of them, "
        "or one shuffled set with the new samples (joint; online: the batch filled up to batch_size)"
    ),
]


class SlotOptions(TypedDict, total=False):
    """What every method that rehearses hands on to :class:`Replay`; the classes below add what some hand on too."""

    backbone: BackboneOption
    total: TotalOption
    per_class: PerClassOption


class MemoryOptions(SlotOptions, total=False):
    """With quota and codec."""

    quota: QuotaOption
    codec: CodecOption


class RehearsalOptions(MemoryOptions, total=False):
    """With how many exemplars stand beside a batch; all but how they are chosen."""

    mix: MixOption


class ReplayOptions(RehearsalOptions, total=False):
    """All options of :class:`Replay`."""

    selection: SelectionOption


class Replay(Finetune):
    """Train on the experience's samples and as many exemplars beside each batch; then choose exemplars anew.

    Experience replay (ER; Chaudhry et al., 2019) with any rule of choosing exemplars.  With ``mix: joint`` samples
    and exemplars are one shuffled set, as in the class-incremental papers: where an experience is large beside the
    memory, few of its batches then hold an exemplar.

    The number of exemplars is the smallest of what is asked for: ``total``, ``per_class``, and what the memory
    budget leaves; 200 in all where none of them is given.  With ``codec: features`` everything happens on the
    features of a frozen backbone, and only the head is trained.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"
    columns: ClassVar[Mapping[str, Column]] = {}  # what else is stored of each exemplar

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        selection: SelectionOption = "random",
        total: TotalOption = None,
        per_class: PerClassOption = None,
        quota: QuotaOption = "even",
        codec: CodecOption = "raw",
        mix: MixOption = "balanced",
    ) -> None:
        super().__init__(backbone=backbone)
        self.mix: Mix = mix
        self.selection, self.total, self.per_class, self.quota = selection, total, per_class, quota
        self.codec = codec
        if selection == "reservoir":
            for option, asked in (("per_class", per_class is not None), ("quota", quota != "even")):
                if asked:
                    raise OptionError(option, "a reservoir has no classes; allowed: `total`, or another selection")

    def begin(self, task: Task) -> None:
        """Build and extend the network; start with an empty exemplar memory."""
        super().begin(task)
        if task.index == 0:
            codec = build_codec(self.codec, frozen=self.network.frozen)
            shape = (self.network.backbone.features,) if codec.of_features else task.shape
            self.memory = Exemplars(self.selection, shape, codec, self.columns).to(task.device)
        self.memory.grow(task.seen_classes)

    def learn(self, task: Task, samples: Samples) -> None:
        """Train on samples and exemplars, then let the samples compete for a place among the exemplars."""
        if self._on_features:
            samples = Samples(self.through(task, samples, self.frozen_features), samples.y)
        task.once(self.network, lambda: self.train_on(task, samples))
        samples = self.described(task, samples)
        self.memory.update(samples, self._limits(task), task.generator("exemplars"), self.chosen_by(task))

    def train_on(self, task: Task, samples: Samples) -> None:
        """Minimise the loss of samples and exemplars together."""
        fit(self.network, samples, task, self.loss, memory=self.memory, mix=self.mix)

    def described(self, task: Task, samples: Samples) -> Samples:
        """Return samples that were trained on with the columns that the memory stores of them: none."""
        return samples

    def loss(self, batch: Samples) -> Tensor:
        """Mean cross-entropy over new samples and exemplars, ``-1/B sum_i log softmax(f(x_i))_y_i``, a scalar."""
        return self.cross_entropy(self.scores(self.network, batch.x), batch.y)

    def cross_entropy(self, scores: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy of scores ``[B, classes]`` and labels, a scalar; 0 over nothing."""
        if not len(y):
            return scores.sum()
        return F.cross_entropy(scores, y, label_smoothing=self.label_smoothing)

    def scores(self, network: Network, x: Tensor) -> Tensor:
        """Return a network's scores ``[B, classes]`` of samples as the memory holds them: features or raw ones."""
        scores: Tensor = network.head(x) if self._on_features else network(x)
        return scores

    def through(self, task: Task, samples: Samples, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return a function of rows ``[B, ...]`` for all samples; in a plan zeros, of the size that one row has."""
        if not task.dry:
            return samples.through(function)
        row = function(samples.rows(slice(1)))
        return row.new_zeros(len(samples), *row.shape[1:])

    def chosen_by(self, task: Task) -> Callable[[Tensor], Tensor]:
        """Return the features that exemplars are chosen by; in a plan ones that cost nothing, where any will do."""
        if not (task.dry and self.selection in BY_FEATURES):
            return self.features_of_held
        if not self.memory.sizes_vary:
            return first_value  # as many are held whichever are chosen
        text = f"{self.selection} chooses by trained features, and encoded sizes differ: an estimate"
        if text not in self.notes:
            self.note(text)
        return self.features_of_held

    def frozen_features(self, x: Tensor) -> Tensor:
        """Return features ``[B, D]`` of a frozen backbone, which the memory holds instead of samples."""
        return Finetune.features(self, x)

    def features_of_held(self, x: Tensor) -> Tensor:
        """Return features ``[B, D]`` of samples as the memory holds them: features or raw ones."""
        return x if self._on_features else self.features(x)

    @property
    def _on_features(self) -> bool:
        return self.memory.codec.of_features

    def _limits(self, task: Task) -> Limits:
        room = task.exemplar_room(self)
        unlimited = self.total is None and self.per_class is None and room is None
        total = DEFAULT_TOTAL if unlimited else self.total
        return Limits(total, self.per_class, room, self.quota, task.seen_classes)


def first_value(x: Tensor) -> Tensor:
    """Return the first value of each sample, ``[N, 1]``: features that cost nothing."""
    return x.flatten(1)[:, :1].float()
