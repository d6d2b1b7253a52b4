"""Sums over a feature set that is larger than memory: shard by shard, here or on a Ray cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cl_engine.errors import InputError
from cl_engine.statistics.sufficient.sums import Sums

ROWS = 4096  # of a shard that are in memory at a time
RETRIES = 5  # of a shard whose worker was lost

Expand = Callable[[Tensor], Tensor]


class Shard(NamedTuple):
    """A part of a feature set, as two ``.npy`` files that are mapped and never read whole.

    Attributes:
        features: numbers ``[N, D]``.
        labels: whole numbers ``[N]``, class ids.
    """

    features: str | Path
    labels: str | Path


def sum_over(
    shards: Iterable[Shard], width: int, classes: int, *, expand: Expand | None = None, ray: bool = False
) -> Sums:
    """Return the sums over all samples of all shards, float64, G as a triangle.

    Each shard is summed by itself and the sums are added in the order of the shards, so that the result is the same
    to the last bit wherever a shard was summed, as long as the machines compute alike.

    Args:
        shards: any number of them; they are asked for as they are needed.
        width: features d that are summed: D, or what ``expand`` makes of it.
        classes: how many classes there are.
        expand: maps features ``[B, D]``, float64, to ``[B, d]``: random features, say.
        ray: sum the shards on the Ray cluster that this process is connected to, or else on one of its own; the
            nodes see the files under the same paths.  A shard whose worker is lost is summed again.

    Raises:
        InputError: a file cannot be read or does not fit; Ray is not installed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     shard = Shard(f"{folder}/x.npy", f"{folder}/y.npy")
    ...     np.save(shard.features, np.eye(2)), np.save(shard.labels, np.array([0, 1]))
    ...     sum_over([shard, shard], 2, 2).counts
    (None, None)
    tensor([2, 2])
    """
    total = Sums.empty(width, classes, packed=True)
    work = partial(sum_of, width=width, classes=classes, expand=expand)
    for part in _on_ray(work, shards) if ray else map(work, shards):
        total.merge(part)
    return total


def sum_of(shard: Shard, width: int, classes: int, expand: Expand | None = None) -> Sums:
    """Return the sums over one shard; arguments as of :func:`sum_over`."""
    features, labels = _mapped(shard.features, 2, "fiu"), _mapped(shard.labels, 1, "iu")
    if len(features) != len(labels):
        raise InputError(f"{shard.labels}: {len(labels)} labels beside {len(features)} rows; allowed: one for each")
    sums = Sums.empty(width, classes, packed=True)
    for start in range(0, len(features), ROWS):
        x = torch.from_numpy(features[start : start + ROWS].astype(np.float64))
        y = torch.from_numpy(labels[start : start + ROWS].astype(np.int64))
        x = x if expand is None else expand(x)
        if x.shape[1] != width or not 0 <= int(y.min()) <= int(y.max()) < classes:
            what = f"{shard.features}: {x.shape[1]} features, classes {int(y.min())} to {int(y.max())}"
            raise InputError(f"{what}; allowed: {width} features, classes 0 to {classes - 1}")
        sums.add(x, y)
    return sums


def _mapped(file: str | Path, axes: int, kinds: str) -> Any:
    try:
        found = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        why = getattr(error, "strerror", None) or "it is no .npy file"
        raise InputError(f"{file}: cannot be read: {why}; allowed: a .npy file") from None
    if not isinstance(found, np.ndarray) or found.ndim != axes or found.dtype.kind not in kinds:
        raise InputError(f"{file}: holds no numbers with {axes} axes; allowed: features [N, D], class ids [N]")
    return found


def _on_ray(work: Callable[[Shard], Sums], shards: Iterable[Shard]) -> Iterator[Sums]:
    """Yield the sums of each shard in their order; about as many are under way as the cluster has cores."""
    try:
        import ray
    except ImportError:
        raise InputError("Ray is not installed; install it with: pip install 'cl-engine[ray]'") from None
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    remote = ray.remote(max_retries=RETRIES)(_plain)
    work_there, waiting = ray.put(work), deque[Any]()
    ahead = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
    todo, done = iter(shards), False
    while waiting or not done:
        while not done and len(waiting) < ahead:
            try:
                waiting.append(remote.remote(work_there, next(todo)))
            except StopIteration:
                done = True
        if waiting:
            try:
                parts = ray.get(waiting.popleft())
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            yield Sums(*(torch.from_numpy(part.copy()) for part in parts))


def _plain(work: Callable[[Shard], Sums], shard: Shard) -> tuple[Any, Any, Any]:
    """Return the sums of a shard as arrays, which Ray hands on without a copy."""
    torch.set_num_threads(1)
    found = work(shard)
    return found.gram.numpy(), found.cross.numpy(), found.counts.numpy()
