"""What a growing network will hold after each experience, known before anything is trained.

Three ways to grow: one network (only its head grows), a backbone for each experience (DER), a specialised block
for each experience (MEMO, Zhou et al., ICLR 2023, section 4).  The paper counts the backbone parameters alone; held
are also a linear head over all classes and features so far, and batch-norm statistics.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from cl_engine.memory.alignment.exchange import expandable_parameters, memo_parameters, model_bytes
from cl_engine.memory.alignment.sizes import BackboneSizes
from cl_engine.memory.ledger import Policy, counts


class NetworkBytes(NamedTuple):
    """Bytes that a network holds at one boundary, by kind as in the ledger; exemplars come on top.

    Attributes:
        parameters: the backbone's parameters.
        head: weights and biases of the classifier.
        buffers: batch-norm statistics and step counters.
    """

    parameters: int
    head: int
    buffers: int

    def under(self, policy: Policy) -> int:
        """Sum what ``policy`` counts."""
        return sum(amount for kind, amount in self._asdict().items() if counts(policy, kind))


def single_growth(sizes: BackboneSizes, new_classes: Sequence[int]) -> list[NetworkBytes]:
    """Return what one backbone with a growing head holds after each experience.

    Args:
        sizes: the backbone.
        new_classes: how many classes each experience adds.
    """
    return [
        NetworkBytes(model_bytes(sizes.parameters), _head(seen, sizes.features), sizes.buffers)
        for seen in itertools.accumulate(new_classes)
    ]


def expandable_growth(sizes: BackboneSizes, new_classes: Sequence[int]) -> list[NetworkBytes]:
    """Return what DER (Yan et al., CVPR 2021; not pruned) holds after each experience.

    Args:
        sizes: the backbone.
        new_classes: how many classes each experience adds; one that adds none gets no backbone.
    """
    backbones = itertools.accumulate(int(new > 0) for new in new_classes)
    return [
        NetworkBytes(
            model_bytes(expandable_parameters(sizes.generalised, sizes.specialised, t)),
            _head(seen, t * sizes.features),
            t * sizes.buffers,
        )
        for t, seen in zip(backbones, itertools.accumulate(new_classes), strict=True)
    ]


def memo_growth(sizes: BackboneSizes, new_classes: Sequence[int]) -> list[NetworkBytes]:
    """Return what MEMO (one generalised part, a specialised block for each experience) holds after each.

    Args:
        sizes: the backbone and its cut.
        new_classes: how many classes each experience adds.
    """
    return [
        NetworkBytes(
            model_bytes(memo_parameters(sizes.generalised, sizes.specialised, t)),
            _head(seen, t * sizes.features),
            sizes.generalised_buffers + t * sizes.specialised_buffers,
        )
        for t, seen in enumerate(itertools.accumulate(new_classes), start=1)
    ]


def head_parameters(classes: int, features: int) -> int:
    """Return the weights and biases of a linear head.

    >>> head_parameters(100, 640), head_parameters(100, 64)
    (64100, 6500)
    """
    return classes * features + classes


def _head(classes: int, features: int) -> int:
    return model_bytes(head_parameters(classes, features))
