"""Data sets that torchvision reads, by the name of their class there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.official import data_folder
from cl_engine.data.samples import DataError, DataSet, Samples
from cl_engine.data.stacking import of_one_depth, stacked
from cl_engine.data.whole import WholeSource
from cl_engine.kinds.problems import OptionError, did_you_mean, one_line
from cl_engine.kinds.signature import Located


class Splits(NamedTuple):
    """How a class of torchvision is asked for training and for test samples: by which argument, and its values."""

    argument: str
    train: bool | str
    test: bool | str


SETS = {  # classes that read pictures, text and .mat files, but no pickle
    "CLEVRClassification": Splits("split", "train", "val"),
    "Country211": Splits("split", "train", "test"),
    "DTD": Splits("split", "train", "test"),
    "FGVCAircraft": Splits("split", "trainval", "test"),
    "Flowers102": Splits("split", "train", "test"),
    "Food101": Splits("split", "train", "test"),
    "GTSRB": Splits("split", "train", "test"),
    "Imagenette": Splits("split", "train", "val"),
    "OxfordIIITPet": Splits("split", "trainval", "test"),
    "PCAM": Splits("split", "train", "test"),
    "RenderedSST2": Splits("split", "train", "test"),
    "STL10": Splits("split", "train", "test"),
    "SVHN": Splits("split", "train", "test"),
    "StanfordCars": Splits("split", "train", "test"),
    "USPS": Splits("train", True, False),
}
ELSEWHERE = {  # classes that may load pickles, and the kind to use instead
    "CIFAR10": "cifar10",
    "CIFAR100": "cifar100",
    "MNIST": "mnist",
    "FashionMNIST": "fashion-mnist",
    "EMNIST": "idx",
    "KMNIST": "idx",
    "QMNIST": "idx",
    "ImageNet": "folder",
}


class Torchvision(WholeSource):
    """A classification set that torchvision reads (extra `vision`), by the name of its class, such as `SVHN`.

    Classes that load pickles are left out; kinds of our own read those sets.  The whole set is held in memory.

    Raises:
        OptionError: an unknown name, or a set that is read by another kind.
        DataError: torchvision is missing, does not find the set, or its pictures differ in size.
    """

    def __init__(
        self,
        *,
        name: Annotated[str, Field(description="name of the class in torchvision.datasets")],
        root: Annotated[
            str | None, Located(), Field(description="torchvision's `root`; default: in the data folder")
        ] = None,
        size: Annotated[
            int | None, Field(ge=1, le=4096, description="height and width to scale to, where pictures differ")
        ] = None,
        download: Annotated[bool, Field(description="let torchvision fetch a set that is missing")] = False,
    ) -> None:
        if name in ELSEWHERE:
            what = f"torchvision may read {name} by way of pickle, which is never loaded"
            raise OptionError("name", f"{what}; allowed: kind: {ELSEWHERE[name]}")
        if name not in SETS:
            what = f"{name!r} is not known to have classes, training and test samples{did_you_mean(name, SETS)}"
            raise OptionError("name", f"{what}; allowed: {', '.join(SETS)}")
        self.name, self.size, self.download = name, size, download
        self.root = data_folder() / "torchvision" if root is None else Path(root)

    def read(self) -> DataSet:
        """Return all pictures, uint8."""
        how = SETS[self.name]
        train_x, train_y = self._part(how.train)
        test_x, test_y = self._part(how.test)
        train_x, test_x = of_one_depth(train_x, test_x)
        return DataSet(Samples(train_x, train_y), Samples(test_x, test_y))

    def _part(self, value: bool | str) -> tuple[Tensor, Tensor]:
        source, labels = self._opened(value), list[int]()
        with _Torchvisions(self.name):
            x = stacked(_noting(source, labels), len(source), self.size)
        return x, torch.tensor(labels)

    def _opened(self, value: bool | str) -> Any:
        try:
            from torchvision import datasets
        except ImportError:
            raise DataError("torchvision is missing: pip install 'cl-engine[vision]'") from None
        options = {SETS[self.name].argument: value, "download": self.download}
        if self.download:
            self.root.mkdir(parents=True, exist_ok=True)
        with _Torchvisions(self.name):
            if not hasattr(datasets, self.name):
                raise DataError(f"this torchvision has no {self.name}; allowed: a newer torchvision")
            if not self.download and not self.root.is_dir():
                raise FileNotFoundError(f"there is no folder {self.root}")
            return getattr(datasets, self.name)(str(self.root), **options)


def _noting(source: Any, labels: list[int]) -> Iterator[Any]:
    """Yield the pictures of a set, and add the label of each to ``labels``."""
    for index in range(len(source)):
        picture, label = source[index]
        labels.append(int(label))
        yield picture


class _Torchvisions:
    """Turn what torchvision raises into one line that says what to do."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, DataError):
            what = f"torchvision cannot read {self.name}: {one_line(error)}"
            page = f"https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.{self.name}.html"
            raise DataError(f"{what}; allowed: a `root` laid out as {page} says, or `download: true`") from None
