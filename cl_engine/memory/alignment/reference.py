"""Budgets that are the size of another method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from cl_engine.data.samples import sample_bytes
from cl_engine.memory.alignment.growth import expandable_growth, memo_growth, single_growth
from cl_engine.memory.alignment.sizes import backbone_sizes
from cl_engine.memory.budget import exemplar_bytes
from cl_engine.memory.ledger import Policy
from cl_engine.models.backbone import BackboneOption

GROWTH = {"single": single_growth, "der-expandable": expandable_growth, "memo": memo_growth}


def reference(
    *,
    aligned_to: Annotated[
        Literal["single", "der-expandable", "memo"],
        Field(description="the method whose size is the budget: one network, one per experience, or MEMO's"),
    ],
    exemplars: Annotated[
        int, Field(ge=0, description="exemplars that this method keeps beside its network")
    ] = 2000,
    backbone: BackboneOption = "resnet32",
    align: Annotated[
        Literal["final", "every-experience"],
        Field(
            description="final: everybody gets from the start what the method ends with (the papers' way); "
            "every-experience: what it holds at that stage, so that nobody is ahead"
        ),
    ] = "final",
) -> None:
    """Bytes that another method holds (MEMO, Zhou et al., ICLR 2023, section 4.2)."""


def reference_bytes(
    options: Mapping[str, Any], shape: tuple[int, ...], new_classes: Sequence[int], policy: Policy
) -> list[int]:
    """Return what the reference holds after each experience under a policy: its network and its exemplars.

    Args:
        options: of :func:`reference`, complete.
        shape: shape of one sample.
        new_classes: classes that each experience adds.
        policy: what counts.
    """
    networks = GROWTH[options["aligned_to"]](backbone_sizes(options["backbone"], shape), new_classes)
    exemplars = options["exemplars"] * exemplar_bytes(sample_bytes(shape), policy)
    return [network.under(policy) + exemplars for network in networks]
