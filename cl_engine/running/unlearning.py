"""A finished run without some of its samples, from what it holds and those samples alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cl_engine.config.scenario import Scenario
from cl_engine.errors import InputError
from cl_engine.running.derived import Derived, derived_scenario, finished
from cl_engine.running.record import RunRecord
from cl_engine.running.stream import Stream
from cl_engine.strategies.additive import OFF_CPU

UNLEARNED = "unlearned"
TOLERANCE = 1e-9  # relative; a certificate within it says that both are equal


def unlearn_run(
    run: str | Path,
    *,
    classes: Sequence[int] = (),
    samples: Sequence[int] = (),
    out: str | Path | None = None,
    certify: bool = False,
) -> RunRecord:
    """Take classes and samples out of a finished run; write what a run that never saw them would have ended with.

    The new run's scenario is the old one's with ``stream.without``, so its experiences, class ids and ledger are
    those of a stream without the samples.  Its result has the key ``derived``: what was removed from which run.

    Args:
        run: the directory of a finished run; it stays as it is.
        classes: labels of the data, as they were delivered.
        samples: training samples by their place in the data, from 0 on; those of a person, say.
        out: folder for the new run; None: that of the old one.
        certify: learn the stream without the samples too, and say how far the weights are apart.

    Raises:
        ConfigError: a class or sample is not in the stream, or all are; or the run's configuration does not fit.
        StoreError: the run is not finished or damaged, or its data has changed.
        InputError: nothing is left to remove, or the strategy cannot unlearn exactly; the line says why.
    """
    old = finished(Path(run))
    if (device := old.result["environment"]["device"]) != "cpu":
        raise InputError(f"{old.path}: was learned on {device}; {OFF_CPU}")
    plan, stream = old.scenario.plan, Stream(old.scenario, old.scenario.terms())
    delivered = plan.delivered(old.scenario.labels.train)
    gone = np.isin(delivered, classes) | np.isin(plan.indices, samples)
    scenario = derived_scenario(
        old.scenario, UNLEARNED, **{"stream.without": _without(old.scenario, classes, samples)}
    )
    if not gone.any():
        raise InputError(f"{old.path}: nothing to remove; allowed: classes or samples that it learned")
    for index in range(len(plan)):
        start, stop = plan.offsets[index : index + 2]
        rows = np.flatnonzero(gone[start:stop])
        if len(rows):
            away = stream.samples(index)[torch.from_numpy(rows)]
            old.strategy.unlearn(away.to(torch.device(stream.terms.device)))
    derived = Derived(scenario, old.numbered_as(scenario))
    certificate = _certificate(derived) if certify else None
    removed = {
        "classes": sorted({*map(int, classes)}),
        "samples": sorted({*map(int, samples)}),
        "deliveries": int(gone.sum()),
    }
    facts = {"from": [old.named], "removed": removed, "certificate": certificate}
    return derived.write(Path(run).parent if out is None else Path(out), UNLEARNED, facts)


def _without(scenario: Scenario, classes: Sequence[int], samples: Sequence[int]) -> dict[str, list[int]]:
    """Return what the new stream is without: what the old one was without, and more."""
    before = scenario.stream["without"] or {"classes": [], "samples": []}
    return {
        "classes": sorted({*before["classes"], *map(int, classes)}),
        "samples": sorted({*before["samples"], *map(int, samples)}),
    }


def _certificate(derived: Derived) -> dict[str, Any]:
    """Return how far the weights are from those of a run that never saw the samples."""
    found, expected = derived.strategy().readout(), derived.learned().readout()
    apart = torch.where(found == expected, 0.0, found - expected)  # minus infinity: no sample of a class
    relative = _norm(apart) / max(_norm(expected), torch.finfo(torch.float64).tiny)
    return {
        "largest_difference": float(apart.abs().max()) if apart.numel() else 0.0,
        "relative_difference": relative,
        "tolerance": TOLERANCE,
        "equal": relative <= TOLERANCE,
    }


def _norm(matrix: Tensor) -> float:
    return float(torch.linalg.norm(torch.where(matrix.isfinite(), matrix, 0.0)))
