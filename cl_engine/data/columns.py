"""The columns of a table: numbers to learn from, and labels or domains that are integers or texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cl_engine.kinds.problems import one_line, shown

if TYPE_CHECKING:
    import pandas as pd

INTEGER = r"[+-]?[0-9]+"


class CellError(ValueError):
    """A cell holds what it must not.

    Attributes:
        row: its row, from 0 on.
        what: what is wrong, and what is allowed.
    """

    def __init__(self, row: int | np.intp, value: Any, allowed: str) -> None:
        self.row, value = int(row), value.item() if isinstance(value, np.generic) else value
        nothing = value is None or (isinstance(value, str) and not value)
        self.what = f"holds {'nothing' if nothing else one_line(shown(value))}; allowed: {allowed}"
        super().__init__(f"row {self.row} {self.what}")


def numbers(column: pd.Series) -> npt.NDArray[np.float32]:
    """Return a column of features as float32 ``[N]``.

    Raises:
        CellError: one is no number, or none that float32 can hold.
    """
    import pandas as pd

    if column.dtype.kind in "mMc":  # times and complex numbers have a number only to a computer
        plain = pd.Series(np.nan, column.index)
    else:
        plain = column if column.dtype.kind in "iufb" else pd.to_numeric(column, errors="coerce")
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
        values: npt.NDArray[np.float32] = plain.to_numpy().astype(np.float32)
    if len(wrong := np.flatnonzero(~np.isfinite(values))):
        allowed = "finite numbers, or name the columns of numbers in `features`"
        raise CellError(wrong[0], column.iloc[wrong[0]], allowed)
    return values


def numbered(column: pd.Series) -> tuple[npt.NDArray[np.int64], tuple[str, ...] | None]:
    """Return a column as int64 ``[N]``: integers as they are, texts by their place among all, sorted.

    Returns:
        The numbers; and the texts in that order, or None for a column of integers.

    Raises:
        CellError: one is missing, a fraction, or too large.

    >>> import pandas as pd
    >>> numbered(pd.Series(["7", "-1"]))[0].tolist()
    [7, -1]
    >>> numbered(pd.Series(["owl", "ant", "owl"]))
    (array([1, 0, 1]), ('ant', 'owl'))
    """
    import pandas as pd

    allowed, values = "integers that fit int64, or texts", column.to_numpy(object)
    if column.dtype.kind not in "iu":
        for row, value in enumerate(values):
            if not isinstance(value, str | int | float | np.number) or value == "" or value != value:
                missing = isinstance(value, float) and value != value
                raise CellError(row, None if missing else value, allowed)
        texts = column.astype(str)
        if texts.str.fullmatch(INTEGER).all():
            values = texts.to_numpy(object)
        else:
            number = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64)
            if np.isnan(number).any():
                found, places = np.unique(texts.to_numpy(object).astype(str), return_inverse=True)
                return places.astype(np.int64), tuple(map(str, found))
            if len(wrong := np.flatnonzero((number != np.rint(number)) | np.isinf(number))):
                raise CellError(wrong[0], values[wrong[0]], allowed)
            values = number.astype(object)
    whole = [int(value) for value in values]
    for row, value in enumerate(whole):
        if not -(2**63) <= value < 2**63:
            raise CellError(row, values[row], allowed)
    return np.array(whole, dtype=np.int64), None
