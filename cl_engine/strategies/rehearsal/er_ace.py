"""ER-ACE: new samples compete among the incoming classes only, exemplars among all."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.losses import masked_cross_entropy
from cl_engine.memory.codecs.codec import CodecOption
from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.rehearsal.replay import (
    MixOption,
    PerClassOption,
    QuotaOption,
    Replay,
    SelectionOption,
    TotalOption,
)
from cl_engine.strategies.strategy import BudgetDecides


class ERACE(Replay):
    """Experience replay with asymmetric cross-entropy (ER-ACE; Caccia et al., ICLR 2022).

    The loss is the sum of two means: of the new samples under a softmax over the classes present among them, and of
    the exemplars under a softmax over all seen classes.  New samples so push no old class down that is absent.

    The classes present are a set, whatever their ids: the released code also opens all ids from the largest seen
    one on, which takes it for granted that classes come in the order of their ids and never return.  It keeps a
    reservoir, as here; Avalanche halves the sum.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        selection: SelectionOption = "reservoir",
        total: TotalOption = None,
        per_class: PerClassOption = None,
        quota: QuotaOption = "even",
        codec: CodecOption = "raw",
        mix: MixOption = "balanced",
    ) -> None:
        super().__init__(
            backbone=backbone,
            selection=selection,
            total=total,
            per_class=per_class,
            quota=quota,
            codec=codec,
            mix=mix,
        )

    def loss(self, batch: Samples) -> Tensor:
        """Both cross-entropies of a batch, a scalar."""
        scores, old = self.scores(self.network, batch.x), batch.rehearsed
        y = batch.y[~old]
        present = torch.zeros(scores.shape[1], dtype=torch.bool, device=y.device)
        present[y] = True
        incoming = masked_cross_entropy(scores[~old], y, present, self.label_smoothing)
        return incoming + self.cross_entropy(scores[old], batch.y[old])
