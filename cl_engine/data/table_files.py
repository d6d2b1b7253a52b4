"""Tables in files: CSV and Parquet."""

from __future__ import annotations

import contextlib
import csv
import os
import warnings
from typing import TYPE_CHECKING

from cl_engine.data.samples import DataError
from cl_engine.data.table import Table, twice_in
from cl_engine.kinds.problems import one_line

if TYPE_CHECKING:
    import pandas as pd

ALLOWED = "allowed: UTF-8, a header, as many commas in every row"


class Csv(Table):
    """A .csv file of numbers with a header, a label column, and a domain column if wanted; UTF-8, commas."""

    def table(self, path: str) -> pd.DataFrame:
        """Read a file; a text that stands for no number is never taken for a missing one."""
        import pandas as pd

        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                header = next(csv.reader(file), [])
            if twice := twice_in(header):
                raise DataError(f"{self.which(path)}column {twice!r} stands twice in the header; allowed: once")
            if not all(header):
                place = header.index("") + 1
                what = f"{self.which(path)}column {place} has no name in the header"
                raise DataError(f"{what}; allowed: a name for every column, and no column of row numbers")
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header would be cut
                table = pd.read_csv(
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
            what = _uneven(path) or f"cannot be read as .csv: {one_line(error)}"
            raise DataError(f"{self.which(path)}{what}; {ALLOWED}") from None
        last = table.iloc[:, -1]  # what a short row lacks is read as an empty text
        if last.dtype.kind not in "biuf" and (last.isna() | (last == "")).any() and (uneven := _uneven(path)):
            raise DataError(f"{self.which(path)}{uneven}; {ALLOWED}")
        return table


def _uneven(path: str) -> str | None:
    """Say which is the first row with other columns than the header, as far as the file can be read."""
    row = 0
    with contextlib.suppress(csv.Error, ValueError), open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        names = next(rows, [])
        for cells in rows:
            if len(cells) <= 1 and not "".join(cells).strip():
                continue  # a blank line is no row
            row += 1
            if len(cells) != len(names):
                found = f"{len(cells)} column{'' if len(cells) == 1 else 's'}, its header {len(names)}"
                return f"row {row} (line {rows.line_num}) of {os.path.basename(path)} has {found}"
    return None


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
                if twice := twice_in(schema.names):
                    raise DataError(f"{self.which(path)}column {twice!r} is there twice; allowed: once")
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
            what = f"{self.which(path)}cannot be read as Parquet: {one_line(error)}"
            raise DataError(f"{what}; allowed: a .parquet file") from None
