"""Samples of every experience, kept as they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cl_engine.adapters.avalanche.keeping.part import Memory, Part
from cl_engine.adapters.avalanche.rows import dataset, raw
from cl_engine.data.samples import Samples

if TYPE_CHECKING:
    from cl_engine.adapters.avalanche.live import Live


class Sets(Part):
    """One set of samples for each experience: samples, labels, and how many each has.

    Args:
        x: an empty tensor of the samples' type and shape, ``[0, ...]``.
        seen: what makes of them what the model takes.
    """

    x: Tensor
    y: Tensor
    sizes: Tensor

    def __init__(self, x: Tensor, seen: Any) -> None:
        super().__init__()
        self._seen = [seen]  # in a list, so that a module among it is not held twice
        self.hold("x", x, kind="exemplars")
        self.hold("y", torch.empty(0, dtype=torch.int32), kind="labels")
        self.hold("sizes", torch.empty(0, dtype=torch.int32))

    def take(self, live: Live) -> None:
        """Hold all sets."""
        sets = self.sets(live)
        if sets:
            self.x, self.y = torch.cat([s.x for s in sets]), torch.cat([s.y for s in sets]).int()
        self.sizes = torch.tensor([len(s) for s in sets], dtype=torch.int32)

    def held(self) -> list[Samples]:
        """Return the sets that are held."""
        sizes = self.sizes.tolist()
        parts = zip(torch.split(self.x, sizes), torch.split(self.y.long(), sizes), strict=True)
        return [Samples(x, y) for x, y in parts]

    def sets(self, live: Live) -> list[Samples]:
        """Return the sets of the living strategy."""
        raise NotImplementedError


class Whole(Sets):
    """All samples so far, of Cumulative."""

    def sets(self, live: Live) -> list[Samples]:
        """Return the one data set that it goes on to."""
        return [raw(live.strategy.dataset)]

    def give(self, live: Live) -> None:
        """Let it go on from what is held."""
        live.strategy.dataset = dataset(self.held()[0], self._seen[0])


class Episodes(Sets):
    """The episodic memory of A-GEM, raw."""

    def sets(self, live: Live) -> list[Samples]:
        """Return the patterns of each experience."""
        return [raw(buffer) for buffer in live.plugin.buffers]

    def give(self, live: Live) -> None:
        """Put them back, with the loader that draws as many of each."""
        from avalanche.benchmarks.utils.data_loader import GroupBalancedInfiniteDataLoader

        plugin = live.plugin
        plugin.buffers = [dataset(samples, self._seen[0]) for samples in self.held()]
        plugin.buffer_dataloader = GroupBalancedInfiniteDataLoader(
            plugin.buffers,
            batch_size=plugin.sample_size // len(plugin.buffers),
            num_workers=0,
            pin_memory=False,
            persistent_workers=False,
        )
        plugin.buffer_dliter = iter(plugin.buffer_dataloader)


class Patterns(Sets):
    """The episodic memory of GEM, which keeps samples as the model takes them."""

    def sets(self, live: Live) -> list[Samples]:
        """Return the patterns of each experience."""
        plugin = live.plugin
        return [Samples(plugin.memory_x[t], plugin.memory_y[t]) for t in plugin.memory_x]

    def give(self, live: Live) -> None:
        """Put them back."""
        plugin = live.plugin
        for t, samples in enumerate(self.held()):
            plugin.memory_x[t], plugin.memory_y[t] = samples.x.clone(), samples.y.clone()
            plugin.memory_tid[t] = torch.zeros_like(samples.y)


class Greedy(Memory):
    """The memory of GSS: samples as the model takes them, and a score of each."""

    x: Tensor
    y: Tensor
    scores: Tensor

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.hold("x", x, kind="exemplars")
        self.hold("y", torch.empty(0, dtype=torch.int32), kind="labels")
        self.hold("scores", torch.empty(0))
        self.column_kinds = {"statistics": 4}

    @property
    def samples(self) -> int:
        """How many are held."""
        return len(self.y)

    def resize(self, live: Live, size: int) -> None:
        """Give it ``size`` places, of which the first ones keep what they have."""
        plugin = live.plugin
        for name in ("ext_mem_list_x", "ext_mem_list_y", "buffer_score"):
            old = getattr(plugin, name)
            new = old.new_zeros(size, *old.shape[1:])
            new[: len(old)] = old[:size]
            setattr(plugin, name, new)
        plugin.mem_size, plugin.ext_mem_list_current_index = size, min(size, plugin.ext_mem_list_current_index)

    def take(self, live: Live) -> None:
        """Hold the places that are filled."""
        plugin = live.plugin
        filled = slice(plugin.ext_mem_list_current_index)
        self.x, self.y = plugin.ext_mem_list_x[filled].clone(), plugin.ext_mem_list_y[filled].int()
        self.scores = plugin.buffer_score[filled].clone()

    def give(self, live: Live) -> None:
        """Fill the places."""
        plugin, filled = live.plugin, slice(len(self.y))
        plugin.ext_mem_list_x[filled], plugin.ext_mem_list_y[filled] = self.x, self.y.long()
        plugin.buffer_score[filled] = self.scores
        plugin.ext_mem_list_current_index = len(self.y)
