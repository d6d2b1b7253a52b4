"""Buffers of exemplars, which are views of data sets in Avalanche, held as what they view."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from avalanche.training.storage_policy import ReservoirSamplingBuffer
from torch import Tensor

from cl_engine.adapters.avalanche.keeping.part import Classes, Memory, at
from cl_engine.adapters.avalanche.rows import dataset, raw
from cl_engine.data.samples import Samples

if TYPE_CHECKING:
    from cl_engine.adapters.avalanche.live import Live


def as_is(x: Tensor) -> Tensor:
    """Return rows that are held as a model takes them."""
    return x


class Buffer(Memory):
    """A reservoir, or one for each group: samples, labels, and the random weight of each that decides who stays.

    Args:
        path: where the storage policy is, from the living strategy.
        x: an empty tensor of the samples' type and shape, ``[0, ...]``.
        seen: what makes of them what the model takes.
        grouped: whether there is a reservoir for each group; then ``groups`` holds key and size of each.
        logits: outputs whose logits are held beside each sample; 0: none.
    """

    x: Tensor
    y: Tensor
    weights: Tensor
    groups: Tensor
    logits: Tensor

    def __init__(self, path: str, x: Tensor, seen: Any, grouped: bool = True, logits: int = 0) -> None:
        super().__init__()
        self.path, self.grouped, self.outputs = path, grouped, logits
        self._seen = [seen]  # in a list, so that a module among it is not held twice
        self.hold("x", x, kind="exemplars")
        self.hold("y", torch.empty(0, dtype=torch.int32), kind="labels")
        self.hold("weights", torch.empty(0))
        if grouped:
            self.hold("groups", torch.empty(0, 2, dtype=torch.int32))
        if logits:
            self.hold("logits", torch.empty(0, logits), kind="logits")
        self.column_kinds = {"statistics": 4, **({"logits": 4 * logits} if logits else {})}

    @property
    def samples(self) -> int:
        """How many are held."""
        return len(self.y)

    def resize(self, live: Live, size: int) -> None:
        """Let the storage policy have at most ``size``."""
        policy = at(live, self.path)
        policy.resize(live.strategy, size)
        for owner in (live.strategy, live.plugin):
            if hasattr(owner, "mem_size"):
                owner.mem_size = size

    def take(self, live: Live) -> None:
        """Hold the samples that the buffers view."""
        policy = at(live, self.path)
        groups = policy.buffer_groups if self.grouped else {0: policy}
        views = [group.buffer for group in groups.values() if len(group.buffer)]
        empty = Samples(self.x[:0], torch.empty(0, dtype=torch.int64))
        samples = [raw(view) for view in views] or [empty]
        self.x = torch.cat([part.x for part in samples])
        self.y = torch.cat([part.y for part in samples]).int()
        self.weights = torch.cat([group._buffer_weights for group in groups.values()] or [self.weights[:0]])
        if self.grouped:
            sizes = [[key, len(group.buffer)] for key, group in groups.items()]
            self.groups = torch.tensor(sizes, dtype=torch.int32).reshape(-1, 2)
        if self.outputs:
            found = [torch.stack(list(view.logits)) for view in views]
            self.logits = torch.cat(found) if found else self.logits[:0]

    def give(self, live: Live) -> None:
        """Rebuild the buffers, each a view of what is held."""
        policy = at(live, self.path)
        whole = self._whole()
        if not self.grouped:
            policy.buffer, policy._buffer_weights = whole, self.weights.clone()
            return
        keys, sizes = self.groups.T.tolist()
        limits = policy.get_group_lengths(len(keys)) if keys else []
        policy.buffer_groups.clear()
        if hasattr(policy, "seen_classes"):
            policy.seen_classes = {*keys}
            limits = [limits[place] for place in (list(policy.seen_classes).index(key) for key in keys)]
        if hasattr(policy, "_num_exps"):
            policy._num_exps = len(keys)
        for key, size, limit, indices, weights in zip(
            keys, sizes, limits, _ranges(sizes), torch.split(self.weights, sizes), strict=True
        ):
            policy.buffer_groups[key] = group = ReservoirSamplingBuffer(limit)
            if size:
                group.buffer, group._buffer_weights = whole.subset(indices), weights.clone()

    def _whole(self) -> Any:
        samples = Samples(self.x, self.y.long())
        return dataset(samples.with_columns(logits=self.logits) if self.outputs else samples, self._seen[0])


class Features(Buffer):
    """Features of a reservoir for each class, of FeatureReplay, which has its own data set for them."""

    def _whole(self) -> Any:
        from avalanche.training.supervised.feature_replay import FeatureDataset

        samples = Samples(self.x, self.y.long())
        return dataset(samples, as_is, base=FeatureDataset(samples.x, samples.y))


class LastClasses(Classes):
    """Which classes the last batch had, whose exemplars MIR leaves out of what it draws from."""

    def take(self, live: Live) -> None:
        """Hold the classes whose exemplars the loader was made without."""
        self.put(live.last_classes)

    def give(self, live: Live) -> None:
        """Make the loader anew, without them."""
        from avalanche.benchmarks.utils.utils import concat_datasets
        from avalanche.training.utils import cycle

        plugin, left_out = live.plugin, self.labels()
        groups = plugin.storage_policy.buffer_groups
        buffer = concat_datasets([groups[key].buffer for key in groups if key not in left_out])
        if len(buffer) > plugin.batch_size_mem:
            loader = torch.utils.data.DataLoader(buffer, batch_size=plugin.subsample, shuffle=True)
            plugin.replay_loader = cycle(loader)


class FeatureLoader(Classes):
    """What FeatureReplay makes of its buffer after an experience; which classes it has seen."""

    def take(self, live: Live) -> None:
        """Hold the classes."""
        criterion = live.strategy._criterion
        self.put([*criterion.current_classes, *criterion.old_classes])

    def give(self, live: Live) -> None:
        """Make the loader anew."""
        from avalanche.training.utils import cycle

        strategy = live.strategy
        strategy._criterion.current_classes = self.labels()
        loader = torch.utils.data.DataLoader(
            strategy.storage_policy.buffer, batch_size=strategy.batch_size_mem, shuffle=True, drop_last=True
        )
        strategy.replay_loader = cycle(loader)


def _ranges(sizes: Sequence[int]) -> list[list[int]]:
    """Return the places of groups of such sizes that stand one after the other."""
    ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
    return [list(range(start, stop)) for start, stop in itertools.pairwise(ends)]
