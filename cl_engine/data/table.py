"""Tables: a column of labels, columns of features, and a column of domains if there is one."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from pydantic import Field

from cl_engine.data.columns import CellError, numbered, numbers
from cl_engine.data.samples import DataError, DataSet, Samples
from cl_engine.data.vectors import split, standardised
from cl_engine.data.whole import WholeSource
from cl_engine.kinds.problems import OptionError, did_you_mean, one_line
from cl_engine.kinds.signature import ExistingFile

if TYPE_CHECKING:
    import pandas as pd

Column = Annotated[str, Field(min_length=1)]


class Table(WholeSource):
    """What the tables have in common: options, and what becomes of columns.

    Integer labels and domains keep their value; texts are numbered in sorted order, and those of labels are the
    names of the classes.  Test samples come from ``test``, from the rows that ``split`` calls test, or, without
    either, are a fixed share of each class in each domain.

    Raises:
        OptionError: both ``test`` and ``split``, or a column is asked for twice.
        DataError: the table is empty, lacks a column, or holds what is no number; with column and row.
    """

    def __init__(
        self,
        *,
        path: Annotated[str, ExistingFile(), Field(description="the table, relative to the scenario file")],
        label: Annotated[Column, Field(description="column of the labels: integers or texts")] = "label",
        features: Annotated[
            list[Column] | None,
            Field(min_length=1, description="columns of numbers to learn from; default: all other"),
        ] = None,
        domain: Annotated[
            Column | None, Field(description="column of the domains, integers or texts: session, site, batch")
        ] = None,
        test: Annotated[str | None, ExistingFile(), Field(description="a table of test samples")] = None,
        split: Annotated[Column | None, Field(description="column that says `train` or `test` in each row")] = None,
        test_share: Annotated[
            float, Field(gt=0, lt=1, description="share to test on, without `test` and `split`")
        ] = 0.2,
        standardise: Annotated[
            bool, Field(description="scale every feature to mean 0 and deviation 1 over all training samples")
        ] = False,
        seed: Annotated[int, Field(ge=0, description="chooses the test samples; not tied to the run's seed")] = 0,
    ) -> None:
        if test and split:
            raise OptionError("split", "a table of test samples is named too; allowed: test or split")
        self.path, self.test, self.test_share, self.seed = path, test, test_share, seed
        self.label, self.domain, self.split = label, domain, split
        self.texts = [name for name in (label, domain, split) if name]
        self.features, self.standardise = features, standardise
        if twice := twice_in([*self.texts, *(features or [])]):
            raise OptionError("features", f"column {twice!r} is asked for twice; allowed: each column once")

    @abstractmethod
    def table(self, path: str) -> pd.DataFrame:
        """Read a table, the columns ``self.texts`` as texts or integers.

        Raises:
            DataError: it is damaged.
        """

    def read(self) -> DataSet:
        """Read the table or both, and check every column that is used."""
        import pandas as pd

        table = self._checked(self.path)
        names = self.features or [name for name in table.columns if name not in self.texts]
        if not names:
            raise DataError(f"has no column beside {', '.join(self.texts)}; allowed: one of features or more")
        rows = len(table)
        if self.test:
            table = pd.concat([table, self._checked(self.test, names)], ignore_index=True)
        x, columns = np.empty((len(table), len(names)), np.float32), {}
        with self._telling(rows) as column:
            for place, name in enumerate(names):
                x[:, place] = numbers(column(table, name))
            y, classes = numbered(column(table, self.label))
            if self.domain:
                columns["domain"] = torch.from_numpy(numbered(column(table, self.domain))[0])
        train, test = self._parts(Samples(torch.from_numpy(x), torch.from_numpy(y), columns), table, rows)
        unknown = np.setdiff1d(test.y.numpy(), train.y.numpy())
        if classes is not None and len(unknown):
            name = classes[unknown[0]]
            raise DataError(f"test label {name!r} never occurs in training; allowed: labels of training rows")
        return DataSet(*(standardised(train, test) if self.standardise else (train, test)), classes)

    def which(self, path: str) -> str:
        """Return what an error begins with: which of two tables is meant, where it is the one of test samples."""
        return "test table: " if path == self.test else ""

    def _checked(self, path: str, features: Sequence[str] = ()) -> pd.DataFrame:
        table = self.table(path)
        names = [*map(str, table.columns)]
        for name in [*self.texts, *(features or self.features or ())]:
            if name not in names:
                held = one_line(", ".join(names))[:200]
                what = f"{self.which(path)}there is no column {name!r}{did_you_mean(name, names)}"
                raise DataError(f"{what}; allowed: {held}")
        if not len(table):
            raise DataError(f"{self.which(path)}holds no row; allowed: one row a sample")
        return table

    def _parts(self, samples: Samples, table: pd.DataFrame, rows: int) -> tuple[Samples, Samples]:
        if self.test:
            return samples[:rows], samples[rows:]
        if self.split is None:
            return split(samples, self.test_share, self.seed)
        part = table[self.split].to_numpy(object)
        train, test = part == "train", part == "test"
        if len(wrong := np.flatnonzero(~(train | test))):
            where = f"column {self.split!r}, row {wrong[0] + 1}"
            raise DataError(f"{where} {CellError(wrong[0], part[wrong[0]], 'train or test').what}")
        if not (train.any() and test.any()):
            raise DataError(f"column {self.split!r} says {part[0]!r} in every row; allowed: train and test")
        return samples[torch.from_numpy(train)], samples[torch.from_numpy(test)]

    @contextlib.contextmanager
    def _telling(self, rows: int) -> Iterator[_Chosen]:
        """Say of a wrong cell in which column, row and table it stands; rows from ``rows`` on are test samples."""
        chosen = _Chosen()
        try:
            yield chosen
        except CellError as error:
            beyond = error.row >= rows
            row = error.row - rows * beyond + 1
            where = f"{'test table: ' if beyond else ''}column {chosen.name!r}, row {row}"
            raise DataError(f"{where} {error.what}") from None


class _Chosen:
    """Hands out columns, and remembers which was the last."""

    name = ""

    def __call__(self, table: pd.DataFrame, name: str) -> pd.Series:
        self.name = name
        return table[name]


def twice_in(names: Sequence[str]) -> str | None:
    """Return a name that stands twice in ``names``, or None."""
    return next((name for name, count in Counter(names).items() if count > 1), None)
