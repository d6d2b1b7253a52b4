"""Data sets of the Hugging Face Hub, from its local cache, or in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.columns import CellError, numbered
from cl_engine.data.samples import DataError, DataSet, Samples
from cl_engine.data.stacking import of_one_depth, stacked
from cl_engine.data.whole import WholeSource
from cl_engine.kinds.problems import OptionError, did_you_mean, one_line
from cl_engine.kinds.signature import Located

OLDEST = 4  # the first major version of `datasets` that runs no code of a data set


class HuggingFace(WholeSource):
    """A data set of the Hugging Face Hub (needs `datasets`), from the local cache, or from a folder of its files.

    Images become uint8, vectors of numbers float32 features.  No code that comes with a data set is ever run.

    Raises:
        OptionError: not just one of ``name`` and ``path``.
        DataError: `datasets` is missing or too old, the set is not there, or a column is not as described.
    """

    def __init__(
        self,
        *,
        name: Annotated[
            str | None, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$", description="name on the Hub, such as ylecun/mnist")
        ] = None,
        path: Annotated[
            str | None, Located(), Field(description="instead: a folder of data files, or of save_to_disk")
        ] = None,
        config: Annotated[str | None, Field(description="its configuration, where it has several")] = None,
        revision: Annotated[str | None, Field(description="commit, tag or branch on the Hub")] = None,
        train: Annotated[str, Field(description="the split to train on")] = "train",
        test: Annotated[str, Field(description="the split to test on")] = "test",
        x: Annotated[str | None, Field(description="column of images or vectors; default: the only images")] = None,
        y: Annotated[str, Field(description="column of the labels: integers or texts")] = "label",
        size: Annotated[
            int | None, Field(ge=1, le=4096, description="height and width to scale to, where images differ")
        ] = None,
        download: Annotated[bool, Field(description="fetch what is missing from the Hub")] = False,
    ) -> None:
        if (name is None) == (path is None):
            raise OptionError("name", "allowed: name or path, one of them")
        self.name, self.path, self.config, self.revision = name, path, config, revision
        self.splits, self.x, self.y, self.size, self.download = (train, test), x, y, size, download

    def read(self) -> DataSet:
        """Return both splits."""
        import pandas as pd

        train, test = self._splits()
        both = [*_column(train, self.y), *_column(test, self.y)]
        try:
            y, texts = numbered(pd.Series(both))
        except CellError as error:
            raise DataError(f"column {self.y!r}, row {error.row + 1} {error.what}") from None
        names = getattr(train.features[self.y], "names", texts)
        labels, x = torch.from_numpy(y), [self._x(part) for part in (train, test)]
        if x[0].ndim == x[1].ndim == 4:
            x = [*of_one_depth(*x)]
        classes = None if names is None or len(names) != len(np.unique(y)) else tuple(names)
        train, test = Samples(x[0], labels[: len(train)]), Samples(x[1], labels[len(train) :])
        return DataSet(train, test, classes)

    def _splits(self) -> list[Any]:
        try:
            import datasets
        except ImportError:
            raise DataError("`datasets` is missing: pip install 'cl-engine[hf]'") from None
        if int(datasets.__version__.split(".")[0]) < OLDEST:
            what = f"`datasets` {datasets.__version__} may run code of a data set"
            raise DataError(f"{what}; allowed: {OLDEST}.0 or later")
        named = self.name or self.path
        try:
            with contextlib.nullcontext() if self.download else _offline():
                if self.path is not None and (Path(self.path) / "dataset_dict.json").is_file():
                    found = datasets.load_from_disk(self.path)
                elif self.path is not None and not Path(self.path).is_dir():
                    raise FileNotFoundError(f"there is no folder {self.path}")
                else:
                    found = datasets.load_dataset(named, self.config, revision=self.revision)
        except Exception as error:  # the Hub's client and the readers of its formats raise many kinds
            what = f"{named} is not there: {one_line(error)[:300]}"
            where = "`download: true`, or what `datasets.load_dataset` has put into its cache"
            raise DataError(f"{what}; allowed: {where if self.name else 'a folder of data files'}") from None
        for split in self.splits:
            if split not in found:
                raise DataError(
                    f"{named} has no split {split!r}{did_you_mean(split, found)}; allowed: {', '.join(found)}"
                )
        return [found[split] for split in self.splits]

    def _x(self, part: Any) -> Tensor:
        from datasets import Image

        images = [name for name, feature in part.features.items() if isinstance(feature, Image)]
        name = self.x or (images[0] if len(images) == 1 else None)
        if name is None:
            what = f"has {len(images) or 'no'} columns of images, so `x` must name one"
            raise DataError(f"{what}; allowed: {', '.join(part.features)}")
        rows = _column(part, name)
        if isinstance(part.features[name], Image):
            return stacked(rows, len(part), self.size)
        try:
            x = np.array(list(rows), dtype=np.float32)
        except (TypeError, ValueError):
            x = np.empty(0, np.float32)
        if x.ndim != 2:
            raise DataError(f"column {name!r} is {part.features[name]}; allowed: images, or vectors of one length")
        return torch.from_numpy(x)


def _column(part: Any, name: str) -> Iterator[Any]:
    """Return the values of a column, one after the other, so that not all images are there decoded."""
    if name not in part.features:
        raise DataError(
            f"there is no column {name!r}{did_you_mean(name, part.features)}; allowed: {', '.join(part.features)}"
        )
    return (row[name] for row in part.select_columns([name]))


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Keep `datasets` and the Hub's client from the network inside the block."""
    import datasets
    import huggingface_hub

    places = [datasets.config, huggingface_hub.constants]
    before = [place.HF_HUB_OFFLINE for place in places]
    try:
        for place in places:
            place.HF_HUB_OFFLINE = True
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.HF_HUB_OFFLINE = value
