"""What is kept of each class or output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cl_engine.adapters.avalanche.keeping.part import Classes, Part

if TYPE_CHECKING:
    from cl_engine.adapters.avalanche.live import Live


class Known(Classes):
    """Which classes LwF distils."""

    def take(self, live: Live) -> None:
        """Hold them."""
        self.put(live.plugin.lwf.prev_classes_by_task[0])

    def give(self, live: Live) -> None:
        """Put them back; the number of experiences is the clock's."""
        lwf = live.plugin.lwf
        lwf.prev_classes_by_task[0] = self.labels()
        lwf.expcount = live.strategy.clock.train_exp_counter


class Consolidated(Part):
    """Rows of the classifier that CWR* has consolidated, and how many samples each is of."""

    rows: Tensor
    counts: Tensor

    def __init__(self, outputs: int, width: int) -> None:
        super().__init__()
        self.hold("rows", torch.empty(0, width, dtype=torch.float64), kind="prototypes")
        self.hold("counts", torch.zeros(outputs, dtype=torch.int64))

    def take(self, live: Live) -> None:
        """Hold them."""
        model = live.strategy.model
        self.counts = torch.zeros_like(self.counts)
        for label, count in model.past_j.items():
            self.counts[label] = count
        labels = self.counts.nonzero().flatten().tolist()
        # Rows of classes that came once are float32 in Avalanche, those consolidated float64.
        self.rows = torch.stack([torch.from_numpy(model.saved_weights[label]).double() for label in labels])

    def give(self, live: Live) -> None:
        """Put them back."""
        model = live.strategy.model
        labels = self.counts.nonzero().flatten().tolist()
        for label, row in zip(labels, self.rows, strict=True):
            model.saved_weights[label] = row.numpy().copy()
            model.past_j[label] = int(self.counts[label])


class Prototypes(Part):
    """A prototype for each output of CoPE."""

    prototypes: Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.hold("prototypes", torch.empty(0, outputs), kind="prototypes")

    def take(self, live: Live) -> None:
        """Hold them."""
        found = live.plugin.p_mem
        self.prototypes = torch.cat([found[label] for label in sorted(found)])

    def give(self, live: Live) -> None:
        """Put them back, in the dictionary that its loss has too."""
        live.plugin.p_mem.update({label: row[None].clone() for label, row in enumerate(self.prototypes)})

    def scores(self, embedded: Tensor) -> Tensor:
        """Return scores of embedded samples ``[B, outputs]``, as its nearest neighbours are found."""
        return torch.nn.functional.normalize(embedded, p=2, dim=1) @ self.prototypes.T


class Means(Part):
    """A mean of each class, of SCR."""

    means: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hold("means", torch.empty(0, width), kind="prototypes")

    def take(self, live: Live) -> None:
        """Hold them."""
        self.means = live.strategy.model.eval_classifier.class_means.clone()

    def give(self, live: Live) -> None:
        """Put them back; a class without a mean has none."""
        found = {label: row.clone() for label, row in enumerate(self.means) if row.any()}
        live.strategy.model.eval_classifier.replace_class_means_dict(found)

    def scores(self, features: Tensor, classes: int) -> Tensor:
        """Return negative distances of features ``[B, D]`` to the means; minus infinity without one."""
        near = -torch.cdist(torch.nn.functional.normalize(features, p=2, dim=1), self.means)
        scores = near.new_full((len(features), classes), -torch.inf)
        scores[:, : len(self.means)] = near[:, :classes]
        return scores


class Gaussians(Part):
    """Means, counts and the covariance of streaming LDA."""

    means: Tensor
    counts: Tensor
    covariance: Tensor
    updates: Tensor

    def __init__(self, outputs: int, width: int) -> None:
        super().__init__()
        self.hold("means", torch.zeros(outputs, width), kind="prototypes")
        self.hold("counts", torch.zeros(outputs))
        self.hold("covariance", torch.ones(width, width))
        self.hold("updates", torch.zeros(1, dtype=torch.int64))

    def take(self, live: Live) -> None:
        """Hold them."""
        strategy = live.strategy
        self.means, self.counts = strategy.muK.clone(), strategy.cK.clone()
        self.covariance = strategy.Sigma.clone()
        self.updates = torch.tensor([strategy.num_updates])

    def give(self, live: Live) -> None:
        """Put them back; the inverse is worked out when it is asked for."""
        strategy = live.strategy
        strategy.muK, strategy.cK, strategy.Sigma = self.means.clone(), self.counts.clone(), self.covariance.clone()
        strategy.num_updates = int(self.updates)

    def scores(self, features: Tensor, shrinkage: float) -> Tensor:
        """Return scores of features ``[B, D]``, as the strategy's own ``predict``."""
        identity = torch.eye(len(self.covariance), device=features.device)
        inverse = torch.pinverse((1 - shrinkage) * self.covariance + shrinkage * identity)
        weights = inverse @ self.means.T
        scores: Tensor = features @ weights - 0.5 * (self.means.T * weights).sum(0)
        return scores
