"""Nearest mean of exemplars: the classifier of iCaRL and of SCR."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.strategies.rehearsal.replay import Replay
from cl_engine.terms.task import Task

NO_EXEMPLARS = -2.0  # the score of a class without a mean; a cosine is at least -1


class NearestMean(Replay):
    """Replay that can tell which class's mean of exemplars is nearest, features and means of unit length.

    The means follow from exemplars and network, so nobody holds them; they are worked out when first asked for.
    """

    _means: Tensor | None = None

    def begin(self, task: Task) -> None:
        """Begin as replay does; more classes are more means."""
        super().begin(task)
        self.classes, self._means = task.seen_classes, None

    def learn(self, task: Task, samples: Samples) -> None:
        """Learn as replay does; the means of another network and other exemplars are other means."""
        super().learn(task, samples)
        self._means = None

    def cosines(self, x: Tensor) -> Tensor:
        """Return cosines of features with the classes' means, -2 where a class has no exemplar, ``[B, classes]``.

        Among unit vectors the nearest is the one of the largest cosine.
        """
        if self._means is None:
            self._means = self.memory.class_means(self.features_of_held, self.classes)
        absent = torch.bincount(self.memory.y.long(), minlength=self.classes) == 0
        return (F.normalize(self.features(x)) @ self._means.T).masked_fill(absent, NO_EXEMPLARS)
