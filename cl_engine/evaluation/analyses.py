"""Analyses of a network's parts, as of MEMO: gradients and weights by block, and how alike its branches are."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import torch

from cl_engine.data.samples import Samples
from cl_engine.evaluation.evaluator import Predictor
from cl_engine.evaluation.observer import GRADIENTS, SHIFT
from cl_engine.evaluation.observing import BRANCHES

BRANCH_CKA = "branch-cka"
Analysis = Literal["gradient-norms", "weight-shift", "branch-cka"]
BRANCH_SAMPLES = 512  # test samples that branches are compared on


class Analyses:
    """The analyses of Zhou et al. (MEMO, ICLR 2023, section 4.1), of any strategy; see :class:`Diagnostic`.

    ``gradient-norms`` and ``weight-shift`` are taken down by an :class:`Observer` while an experience is learned.
    ``branch-cka`` compares the branches that are held after it: mini-batch CKA of linear kernels, unbiased (Nguyen
    et al., ICLR 2021), of the output of every stage of the branches, on at most 512 test samples of classes exposed
    so far.  The paper leaves kernel and batches open.

    Args:
        test: test samples with class ids, in an order that mixes classes.
        asked: names of the analyses.
        experiences: how many there are.
    """

    def __init__(self, test: Samples, asked: Collection[str], experiences: int) -> None:
        self.test, self.asked, self.experiences = test, asked, experiences

    def facts(
        self, now: Predictor, before: Callable[[], Predictor], experience: int, exposed: int
    ) -> dict[str, Any]:
        """Return ``branches``: the newest one's CKA with each, by layer; at the end that of every two."""
        if BRANCH_CKA not in self.asked:
            return {}
        rows = (self.test.y < exposed).nonzero().flatten()[:BRANCH_SAMPLES]
        hsic = now.observe(BRANCHES, self.test.rows(rows))["hsic"]
        scale = hsic.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()
        cka = hsic / (scale[:, :, None] * scale[:, None, :])
        found = {"newest": _plain(cka[:, -1]), "samples": len(rows)}
        if experience == self.experiences - 1:
            found["matrix"] = _plain(cka)
        return {"branches": found}

    def recall(self, line: Mapping[str, Any]) -> None:
        """Need nothing of earlier experiences."""

    def summary(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return ``analyses``: by name what was found per experience."""
        found: dict[str, Any] = {}
        if GRADIENTS in self.asked:
            found[GRADIENTS] = _table(lines, GRADIENTS, {"norm": "norm", "steps": "steps"})
        if SHIFT in self.asked:
            found[SHIFT] = _table(lines, SHIFT, {"relative": "shift", "mse": "mse"})
        if BRANCH_CKA in self.asked:
            branches = [line["branches"] for line in lines]
            found[BRANCH_CKA] = {
                "layers": len(branches[-1]["newest"]),
                "newest": [branch["newest"] for branch in branches],
                "matrix": branches[-1].get("matrix"),
                "samples": [branch["samples"] for branch in branches],
                "samples_are": "test samples of classes exposed so far, chosen by the engine; never the strategy's",
            }
        return {"analyses": found}


def _table(lines: Sequence[Mapping[str, Any]], analysis: str, names: Mapping[str, str]) -> dict[str, Any]:
    """Return ``blocks``, and for each value a row per experience with a number or None per block."""
    observed = [line["observed"].get(analysis, {}) for line in lines]
    blocks = list(dict.fromkeys(name for found in observed for name in found))
    rows = {
        called: [[found.get(block, {}).get(key) for block in blocks] for found in observed]
        for key, called in names.items()
    }
    return {"blocks": blocks, **rows}


def _plain(values: torch.Tensor) -> Any:
    """Return nested lists, None for what is no finite number."""
    if values.ndim > 1:
        return [_plain(row) for row in values]
    return [value if math.isfinite(value) else None for value in values.tolist()]
