"""The losses that continual-learning methods are built from: pure functions of tensors.

Each loss is a scalar of its inputs' type, float32 or float64, and raises ValueError for shapes, labels or options
that it cannot take.  What comes from the old model (a teacher) is a constant: no gradient flows into it.  A mean
over nothing is 0, so that an empty rehearsal batch or a first experience without old classes needs no branch.
Weights (lambda, T squared, base temperatures) belong to the method and are not in here.
"""

from cl_engine.losses.contrast import (
    asymmetric_contrastive,
    backward_contrastive,
    higher_order_compatibility,
    supervised_contrastive,
)
from cl_engine.losses.cross_entropies import (
    balanced_softmax,
    effective_number_weights,
    masked_cross_entropy,
    proxy_nca,
)
from cl_engine.losses.features import feature_distillation, pod
from cl_engine.losses.importance import quadratic_penalty
from cl_engine.losses.logits import balanced_distillation, distillation, logit_matching
from cl_engine.losses.margins import class_separation
from cl_engine.losses.prototypes import prototype_alignment, relation_distillation

__all__ = [
    "asymmetric_contrastive",
    "backward_contrastive",
    "balanced_distillation",
    "balanced_softmax",
    "class_separation",
    "distillation",
    "effective_number_weights",
    "feature_distillation",
    "higher_order_compatibility",
    "logit_matching",
    "masked_cross_entropy",
    "pod",
    "prototype_alignment",
    "proxy_nca",
    "quadratic_penalty",
    "relation_distillation",
    "supervised_contrastive",
]
