"""A scenario's stream as plain PyTorch data sets, for a training loop of your own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cl_engine.config.scenario import Scenario
from cl_engine.data.samples import Samples
from cl_engine.running.stream import Stream

Part = Literal["train", "test"]
Transform = Callable[[Tensor], Tensor]


class Experience(Dataset[tuple[Any, ...]]):
    """The samples of one experience, as ``(x, y)``.

    ``x`` is a uint8 image ``[C, H, W]`` or float32 features ``[D]``, or what ``transform`` makes of it; ``y`` is
    the class id, an int: ids count from 0 in the order in which the stream first exposes the classes.

    Attributes:
        samples: all of them, as tensors.
        index: number of the experience, from 0.
        classes: class ids present in the experience, ascending.
        new_classes: those of them that it exposes first.
        seen_classes: how many are exposed by its end.
        targets: the class id of each sample, a list of ints.
    """

    def __init__(
        self,
        samples: Samples,
        index: int,
        classes: tuple[int, ...],
        new_classes: tuple[int, ...],
        seen_classes: int,
        transform: Transform | None = None,
    ) -> None:
        self.samples, self.index, self.transform = samples, index, transform
        self.classes, self.new_classes, self.seen_classes = classes, new_classes, seen_classes
        self.targets: list[int] = samples.y.tolist()

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.targets)

    def __getitem__(self, place: int) -> tuple[Any, ...]:
        """Return one sample."""
        return self.__getitems__([range(len(self))[place]])[0]

    def __getitems__(self, places: list[int]) -> list[tuple[Any, ...]]:
        """Return several samples; a ``DataLoader`` asks for a whole batch by this."""
        rows = self.samples.rows(torch.tensor(places))
        return [self._item(self._seen(x), self.targets[place]) for x, place in zip(rows, places, strict=True)]

    def _seen(self, x: Tensor) -> Tensor:
        return x if self.transform is None else self.transform(x)

    def _item(self, x: Tensor, y: int) -> tuple[Any, ...]:
        return x, y


class TaskSet(Experience):
    """The samples of one experience, as ``(x, y, t)``: ``t`` is the number of the experience, as in Continuum."""

    def _item(self, x: Tensor, y: int) -> tuple[Any, ...]:
        return x, y, self.index


class Experiences(Sequence[Experience]):
    """The experiences of a scenario's stream, in order; each is made when it is asked for.

    Args:
        scenario: what :meth:`Scenario.load` takes, or a loaded scenario.
        part: ``train``: what each experience delivers, in its order.  ``test``: what accuracy is measured on in
            the group of each experience, the test samples of the classes that it exposes first; in a stream with
            domains or transforms, those of its domain or under its transform of all classes exposed by then.
        transform: makes of each sample what the data set returns.

    Attributes:
        labels: the data's own labels, int64 ``[C]``; ``labels[y]`` is that of the class id ``y``.

    Raises:
        ConfigError: the scenario is wrong.

    >>> experiences = Experiences({"data": "digits", "stream": {"step": 5}, "strategy": "finetune"})
    >>> len(experiences), [len(experience) for experience in experiences]
    (2, [719, 723])
    >>> x, y = experiences[1][0]
    >>> x.shape, x.dtype, y >= 5
    (torch.Size([1, 8, 8]), torch.uint8, True)
    """

    kind: type[Experience] = Experience

    def __init__(
        self,
        scenario: Scenario | str | Path | Mapping[str, Any],
        part: Part = "train",
        transform: Transform | None = None,
    ) -> None:
        scenario = scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)
        self.part, self.transform = part, transform
        self.stream = Stream(scenario, scenario.terms())
        self.labels = torch.from_numpy(self.stream.order)

    def __len__(self) -> int:
        """Return the number of experiences."""
        return len(self.stream.plan)

    @overload
    def __getitem__(self, place: int) -> Experience: ...

    @overload
    def __getitem__(self, place: slice) -> list[Experience]: ...

    def __getitem__(self, place: int | slice) -> Experience | list[Experience]:
        """Return one experience, or a list of them."""
        if isinstance(place, slice):
            return [self[index] for index in range(len(self))[place]]
        index = range(len(self))[place]
        of = self.stream.samples if self.part == "train" else self.stream.accuracy.group
        exposure = self.stream.terms.exposures[index]
        return self.kind(
            of(index), index, exposure.classes, exposure.new_classes, exposure.seen_classes, self.transform
        )


class TaskSets(Experiences):
    """The same with the number of the experience beside each sample: ``for taskset in tasks``, ``(x, y, t)``.

    >>> tasks = TaskSets({"data": "digits", "stream": {"step": 5}, "strategy": "finetune"}, "test")
    >>> [(len(taskset), taskset[0][2]) for taskset in tasks]
    [(177, 0), (178, 1)]
    """

    kind = TaskSet


__all__ = ["Experience", "Experiences", "TaskSet", "TaskSets"]
