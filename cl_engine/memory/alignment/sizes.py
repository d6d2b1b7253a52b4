"""What the two parts of a backbone weigh, counted without allocating them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import nn

from cl_engine.memory.ledger import held_bytes, ledger
from cl_engine.models.backbone import meta_backbone


class BackboneSizes(NamedTuple):
    """Sizes of a backbone cut into a generalised part and its last stage, the specialised block.

    Attributes:
        features: width of the output.
        generalised: parameters of the generalised part (elements, not bytes).
        specialised: parameters of the specialised block.
        generalised_buffers: bytes of the generalised part's buffers (batch-norm statistics and step counters).
        specialised_buffers: bytes of the specialised block's buffers.
    """

    features: int
    generalised: int
    specialised: int
    generalised_buffers: int
    specialised_buffers: int

    @property
    def parameters(self) -> int:
        """Parameters of the whole backbone."""
        return self.generalised + self.specialised

    @property
    def buffers(self) -> int:
        """Bytes of the whole backbone's buffers."""
        return self.generalised_buffers + self.specialised_buffers


def backbone_sizes(option: str | Mapping[str, Any], shape: tuple[int, ...]) -> BackboneSizes:
    """Count the backbone that ``option`` names, for samples of ``shape``.

    Raises:
        OptionError: the backbone cannot take such samples.

    >>> backbone_sizes("resnet32", (3, 32, 32)).parameters
    463504
    """
    backbone = meta_backbone(option, shape)
    generalised, specialised = backbone.stages[:-1], backbone.stages[-1]
    return BackboneSizes(
        backbone.features,
        _parameters(generalised),
        _parameters(specialised),
        _buffers(generalised),
        _buffers(specialised),
    )


def _parameters(part: nn.Module) -> int:
    return sum(math.prod(entry.shape) for entry in ledger(part) if entry.kind == "parameters")


def _buffers(part: nn.Module) -> int:
    return held_bytes(entry for entry in ledger(part) if entry.kind == "buffers")
