"""Samples as Avalanche's data sets, and back from its views of them to samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from avalanche.benchmarks.utils.flat_data import ConstantSequence, FlatData
from torch import Tensor
from torch.utils.data import Dataset

from cl_engine.data.samples import Samples

Seen = Callable[[Tensor], Tensor]


class Rows(Dataset[tuple[Tensor, int]]):
    """Raw samples that are handed out as a network takes them.

    Attributes:
        x: as they are held: uint8 images or float32 features.
        y: class ids.
        seen: as they are handed out, float32.
        targets: ``y`` as Avalanche wants to find it.
    """

    def __init__(self, x: Tensor, y: Sequence[int], seen: Seen) -> None:
        self.x, self.y, self.seen = x, list(y), seen(x)
        self.targets = self.y

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.y)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        """Return one sample and its class id."""
        return self.seen[place], self.y[place]


def dataset(samples: Samples, seen: Seen, task: int = 0, base: Any = None) -> Any:
    """Return a data set of Avalanche, of ``(x, y, task)``, with further columns behind the task's label.

    Args:
        samples: the samples; each of their columns is an attribute of the data set.
        seen: what makes of raw rows ``[B, ...]`` what a network takes.
        task: the label that all of them have.
        base: what hands them out; None: :class:`Rows`.
    """
    labels: list[int] = samples.y.tolist()
    attributes = [
        DataAttribute(labels, "targets"),
        DataAttribute(ConstantSequence(task, len(labels)), "targets_task_labels", use_in_getitem=True),
        *(
            DataAttribute(FlatData([list(column)]), name, use_in_getitem=True)
            for name, column in samples.columns.items()
        ),
    ]
    return TaskAwareSupervisedClassificationDataset(
        [base or Rows(samples.x, labels, seen)], data_attributes=attributes
    )


def raw(view: Any) -> Samples:
    """Return the samples that a data set of Avalanche views, as they are held, without its columns."""
    rows = [_row(view, place) for place in range(len(view))]
    x = torch.stack([data.x[place] if isinstance(data, Rows) else data[place][0] for data, place in rows])
    return Samples(x, torch.tensor([data.targets[place] for data, place in rows]))


def _row(data: Any, place: int) -> tuple[Any, int]:
    """Return what a view of a view ends at, and the place in it."""
    while isinstance(data, AvalancheDataset | FlatData):
        flat = data._flat_data if isinstance(data, AvalancheDataset) else data
        number, place = flat._get_idx(place)
        data = flat._datasets[number]
    return data, place
