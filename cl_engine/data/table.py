"""Tables: a column of labels, columns of features, and a column of domains if there is one."""

from __future__ import annotations

import csv
import warnings
from abc import abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from cl_engine.data.samples import DataError, DataSet, Samples
from cl_engine.data.vectors import split, standardised
from cl_engine.data.whole import WholeSource
from cl_engine.kinds.problems import OptionError, did_you_mean, one_line, shown
from cl_engine.kinds.signature import ExistingFile

if TYPE_CHECKING:
    import pandas as pd

INTEGER = r"[+-]?[0-9]+"
Column = Annotated[str, Field(min_length=1)]


class Table(WholeSource):
    """What the tables have in common: options, and what becomes of columns.

    Integer labels and domains keep their value; texts are numbered in sorted order, and those of labels are the names
    of the classes.  Test samples come from ``test``, from the rows that ``split`` calls test, or, without either,
    are a fixed share of each class in each domain.

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
        if twice := _twice([*self.texts, *(features or [])]):
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
            raise DataError(
                f"has no column beside {', '.join(self.texts)}; allowed: one column of features or more"
            )
        rows = len(table)
        if self.test:
            table = pd.concat([table, self._checked(self.test, names)], ignore_index=True)
        y, classes = self._numbered(table, self.label, rows)
        columns = {"domain": self._numbered(table, self.domain, rows)[0]} if self.domain else {}
        x = np.empty((len(table), len(names)), np.float32)
        for place, name in enumerate(names):
            x[:, place] = self._numbers(table, name, rows)
        samples = Samples(
            torch.from_numpy(x), torch.from_numpy(y), {n: torch.from_numpy(c) for n, c in columns.items()}
        )
        train, test = self._parts(samples, table, rows)
        if classes is not None:
            unknown = np.setdiff1d(test.y.numpy(), train.y.numpy())
            if len(unknown):
                name = classes[unknown[0]]
                raise DataError(f"test label {name!r} never occurs in training; allowed: labels of training rows")
        return DataSet(*(standardised(train, test) if self.standardise else (train, test)), classes)

    def _checked(self, path: str, features: list[str] | None = None) -> pd.DataFrame:
        table = self.table(path)
        names = [*map(str, table.columns)]
        for name in [*self.texts, *(features or self.features or [])]:
            if name not in names:
                held = one_line(", ".join(names))[:200]
                what = f"{_of(path, self.test)}there is no column {name!r}{did_you_mean(name, names)}"
                raise DataError(f"{what}; allowed: {held}")
        if not len(table):
            raise DataError(f"{_of(path, self.test)}holds no row; allowed: one row a sample")
        return table

    def _parts(self, samples: Samples, table: pd.DataFrame, rows: int) -> tuple[Samples, Samples]:
        if self.test:
            return samples[:rows], samples[rows:]
        if self.split is None:
            return split(samples, self.test_share, self.seed)
        part = table[self.split].to_numpy(object)
        train, test = part == "train", part == "test"
        if len(wrong := np.flatnonzero(~(train | test))):
            raise self._wrong(self.split, wrong[0], part, rows, "train or test")
        if not (train.any() and test.any()):
            raise DataError(f"column {self.split!r} says {part[0]!r} in every row; allowed: train and test")
        return samples[torch.from_numpy(train)], samples[torch.from_numpy(test)]

    def _numbers(self, table: pd.DataFrame, name: str, rows: int) -> npt.NDArray[np.float32]:
        """Return a column of features as float32 ``[N]``."""
        import pandas as pd

        column = table[name]
        values = (
            column.to_numpy() if column.dtype.kind in "iufb" else pd.to_numeric(column, errors="coerce").to_numpy()
        )
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
            values = values.astype(np.float32)
        if len(wrong := np.flatnonzero(~np.isfinite(values))):
            allowed = "finite numbers, or name the columns of numbers in `features`"
            raise self._wrong(name, wrong[0], column.to_numpy(object), rows, allowed)
        return values

    def _numbered(
        self, table: pd.DataFrame, name: str, rows: int
    ) -> tuple[npt.NDArray[np.int64], tuple[str, ...] | None]:
        """Return a column of integers as it is, one of texts numbered and with its texts in order; int64 ``[N]``."""
        import pandas as pd

        column, values = table[name], table[name].to_numpy(object)
        allowed = "integers that fit int64, or texts"
        if column.dtype.kind not in "iu":
            missing = column.isna().to_numpy() | (values == "")
            if missing.any():
                raise self._wrong(name, np.flatnonzero(missing)[0], values, rows, allowed)
            texts = column.astype(str)
            if not texts.str.fullmatch(INTEGER).all():
                number = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64)
                if np.isnan(number).any():
                    found, places = np.unique(texts.to_numpy(object).astype(str), return_inverse=True)
                    return places.astype(np.int64), tuple(map(str, found))
                if len(wrong := np.flatnonzero(number != np.rint(number))):
                    raise self._wrong(name, wrong[0], values, rows, allowed)
                values = number.astype(object)
            else:
                values = texts.to_numpy(object)
        whole = [int(value) for value in values]
        if len(wrong := [row for row, value in enumerate(whole) if not -(2**63) <= value < 2**63]):
            raise self._wrong(name, wrong[0], values, rows, allowed)
        return np.array(whole, dtype=np.int64), None

    def _wrong(self, name: str, row: int | np.intp, values: npt.NDArray[Any], rows: int, allowed: str) -> DataError:
        value = "nothing" if values[row] in ("", None) else shown(values[row])
        beyond = row >= rows  # of the table of test samples
        where = f"{_of(self.test, self.test) if beyond else ''}column {name!r}, row {int(row) - rows * beyond + 1}"
        return DataError(f"{where} holds {value}; allowed: {allowed}")


class Csv(Table):
    """A .csv file of numbers with a header, a label column, and a domain column if wanted; UTF-8, commas."""

    def table(self, path: str) -> pd.DataFrame:
        """Read a file; a text that stands for no number is never taken for a missing one."""
        import pandas as pd

        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                header = next(csv.reader(file), [])
            if twice := _twice(header):
                raise DataError(f"{_of(path, self.test)}column {twice!r} stands twice in the header; allowed: once")
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header would be cut
                return pd.read_csv(
                    path,
                    encoding="utf-8-sig",
                    index_col=False,
                    dtype=dict.fromkeys(self.texts, str),
                    keep_default_na=False,
                    low_memory=False,
                    compression=None,
                )
        except DataError:
            raise
        except Exception as error:  # pandas and csv raise many kinds for what is no table
            what = f"{_of(path, self.test)}cannot be read as .csv: {one_line(error)}"
            raise DataError(f"{what}; allowed: UTF-8, a header, as many commas in every row") from None


class Parquet(Table):
    """A .parquet file of numbers with a label column, and a domain column if wanted; needs the extra `parquet`."""

    def table(self, path: str) -> pd.DataFrame:
        """Read a file; types that would run code to be read are refused."""
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise DataError("Parquet needs pyarrow, which is missing: pip install 'cl-engine[parquet]'") from None
        try:
            with parquet.ParquetFile(path) as file:
                schema = file.schema_arrow
                if twice := _twice(schema.names):
                    raise DataError(f"{_of(path, self.test)}column {twice!r} is there twice; allowed: once")
                for field in schema:
                    if isinstance(field.type, pyarrow.BaseExtensionType):
                        raise DataError(f"column {field.name!r} is {field.type}; allowed: numbers, texts")
                table: pd.DataFrame = file.read(self.features and [*self.texts, *self.features]).to_pandas(
                    ignore_metadata=True
                )
                return table
        except DataError:
            raise
        except Exception as error:  # pyarrow raises many kinds for a damaged file
            what = f"{_of(path, self.test)}cannot be read as Parquet: {one_line(error)}"
            raise DataError(f"{what}; allowed: a .parquet file") from None


def _twice(names: list[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _of(path: str | None, test: str | None) -> str:
    """Say which of two tables is meant where it is the one of test samples."""
    return "test table: " if test is not None and path == test else ""
