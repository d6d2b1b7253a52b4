"""Rows of new classes as long as those of old ones: the alignment of WA, MEMO and expandable DER."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

Align = Literal["shrink", "always", "never"]

AlignOption = Annotated[
    Align,
    Field(
        description="make the head's new rows as long as its old ones: where they are longer (shrink), also where "
        "they are shorter (always: papers and their code), or not at all (never)"
    ),
]


def weight_alignment(weight: Tensor, old: int, align: Align = "always") -> Tensor:
    """Return ``weight`` with the rows from ``old`` on scaled so that their mean norm is that of the rows before.

    One factor for all of them: gamma = mean ||w_old|| / mean ||w_new|| (WA, Zhao et al., CVPR 2020; MEMO aligns
    after each experience).  Aligning twice is aligning once.  Without old rows, without new ones, or where all new
    ones are 0, nothing changes.

    ``shrink`` is ours: gamma is 1 at most.  The papers correct new rows that long training with weight decay has
    made the longer ones.  Without decay rows only grow, by every experience that they learn in (and by the columns
    of every backbone that is added), so that old rows are longer for their age and not for a bias towards old
    classes; gamma above 1 would then make new classes win too often.

    Args:
        weight: ``[C, D]``.
        old: how many rows, from the first on, are of old classes; 0 to C.
        align: ``always``, ``shrink`` only where new rows are the longer ones, ``never``.

    Returns:
        ``[C, D]``, a new tensor.

    Raises:
        ValueError: no matrix, or ``old`` outside of it.

    >>> weight_alignment(torch.tensor([[1.0, 0], [0, 4], [2, 0]]), old=1)
    tensor([[1.0000, 0.0000],
            [0.0000, 1.3333],
            [0.6667, 0.0000]])
    >>> weight_alignment(torch.tensor([[2.0], [1.0]]), old=1, align="shrink").flatten()
    tensor([2., 1.])
    """
    if weight.ndim != 2 or not 0 <= old <= len(weight):
        raise ValueError(f"weight is {list(weight.shape)} and old {old}; allowed: [C, D] and 0 to C")
    if old in (0, len(weight)) or align == "never":
        return weight.clone()
    norms = weight.norm(dim=1)
    before, after = norms[:old].mean(), norms[old:].mean()
    gamma = before / after.where(after > 0, 1)
    if align == "shrink":
        gamma = gamma.clamp(max=1)
    return torch.cat([weight[:old], gamma * weight[old:]])
