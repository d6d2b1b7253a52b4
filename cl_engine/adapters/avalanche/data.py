"""A benchmark of Avalanche as data and stream of ours."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cl_engine.data.samples import DataError, DataSet, Samples
from cl_engine.kinds.problems import shown
from cl_engine.scenarios.families.stored import store
from cl_engine.scenarios.plan import plan_of

Raw = Callable[[Any], Tensor]


def from_benchmark(benchmark: Any, folder: str | Path, *, raw: Raw | None = None) -> dict[str, Any]:
    """Write a benchmark of Avalanche as data and stream of a scenario into a folder; return the two keys.

    ``cl_engine.run({**from_benchmark(benchmark, "mine"), "strategy": "memo"})`` trains on the very experiences, in
    their order and that of their samples; a file may name ``mine/data.npz`` and ``mine/plan.npz`` as well.  A
    sample that several experiences have is one sample that returns.  Labels stay as they are.  Where samples have
    different task labels, the stream is one with task identities, as ``task-incremental``.

    Args:
        benchmark: with ``train_stream`` and ``test_stream``, of data sets of ``(x, y, ...)``.
        folder: is made where there is none; files of these names are replaced.
        raw: makes of ``x`` what the engine holds, uint8 images ``[C, H, W]`` or float32 features ``[D]``.  None:
            features and uint8 images as they are, and float images of values in 0..1 times 255, rounded.

    Raises:
        DataError: samples that are neither, or differ in shape; a class that is trained on and not tested.

    >>> from_benchmark("mnist", "mine")
    Traceback (most recent call last):
    ...
    cl_engine.data.samples.DataError: 'mnist' has no train_stream and test_stream; allowed: a benchmark of Avalanche
    """
    try:
        streams = [benchmark.train_stream, benchmark.test_stream]
    except AttributeError:
        what = f"{shown(benchmark)} has no train_stream and test_stream"
        raise DataError(f"{what}; allowed: a benchmark of Avalanche") from None
    train, test = ([_samples(experience.dataset, raw or as_held) for experience in stream] for stream in streams)
    samples, experiences = _distinct(train)
    tested = _joined(test)
    known = DataSet(samples, tested[torch.isin(tested.y, samples.y)])
    tasks = {task for part in train for task in part.columns["task"].tolist()}
    plan = plan_of(
        samples.y.numpy(),
        [np.array(experience, dtype=np.int64) for experience in experiences],
        repeats=sum(map(len, experiences)) > len(samples),
        task_identity=len(tasks) > 1,
    )
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        f"{name}_{part}": getattr(of, name).numpy()
        for part, of in (("train", known.train), ("test", known.test))
        for name in ("x", "y")
    }
    np.savez_compressed(folder / "data.npz", **arrays)
    store(plan, folder / "plan.npz")
    return {
        "data": {"kind": "npz", "path": str(folder / "data.npz")},
        "stream": {"kind": "plan", "path": str(folder / "plan.npz")},
    }


def _samples(dataset: Any, raw: Raw) -> Samples:
    rows = [dataset[place] for place in range(len(dataset))]
    y = torch.tensor([int(row[1]) for row in rows], dtype=torch.int64)
    tasks = torch.tensor([int(row[2]) if len(row) > 2 else 0 for row in rows], dtype=torch.int64)
    x = torch.stack([raw(row[0]) for row in rows]) if rows else torch.empty(0)
    return Samples(x, y, {"task": tasks})


def as_held(x: Any) -> Tensor:
    """Return a sample as the engine holds it."""
    found: Tensor = x if isinstance(x, Tensor) else torch.as_tensor(np.asarray(x))
    if found.dtype == torch.uint8 and found.ndim == 3:
        return found
    if found.ndim == 1:
        return found.float()
    least, most = float(found.min()), float(found.max())
    if found.ndim == 3 and found.is_floating_point() and 0 <= least <= most <= 1:
        return (255 * found).round().byte()
    raise DataError(
        f"a sample is {found.dtype} {list(found.shape)} of values {least:.3g} to {most:.3g}; allowed: "
        "features [D], images [C, H, W] of uint8 or of values in 0..1, or raw=, which makes them so"
    )


def _joined(parts: Sequence[Samples]) -> Samples:
    parts = [part for part in parts if len(part)]
    return Samples(torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts]))


def _distinct(parts: Sequence[Samples]) -> tuple[Samples, list[list[int]]]:
    """Return every sample once, and for each experience which ones it has, in its order."""
    whole = _joined(parts)
    seen: dict[tuple[bytes, int], int] = {}
    places = []
    first: list[int] = []
    for place, (x, y) in enumerate(zip(whole.x, whole.y.tolist(), strict=True)):
        key = (x.numpy().tobytes(), y)
        if key not in seen:
            seen[key] = len(first)
            first.append(place)
        places.append(seen[key])
    ends = np.cumsum([0, *map(len, parts)])
    experiences = [list(dict.fromkeys(places[a:b])) for a, b in itertools.pairwise(ends)]
    return whole[torch.tensor(first)], experiences
