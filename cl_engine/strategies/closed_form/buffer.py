"""The fixed map in front of a closed-form classifier, in papers its buffer: a projection, and what follows."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.arrays import opened
from cl_engine.data.samples import DataError
from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.signature import ExistingFile

WidthOption = Annotated[
    int,
    Field(
        ge=0, le=10**6, description="random features (the papers' buffer size); 0: backbone features as they are"
    ),
]
ProjectionOption = Annotated[
    str | None,
    ExistingFile(),
    Field(
        description="a .npz file with `projection` [features, width] instead of a random one, whose width counts"
    ),
]
Draw = Literal["uniform", "normal"]


def drawn(inputs: int, width: int, how: Draw, generator: torch.Generator) -> Tensor:
    """Return a random projection, float64 ``[inputs, width]``.

    Args:
        inputs: features of the backbone.
        width: random features.
        how: ``uniform`` in +-1/sqrt(inputs), the default of a linear layer, as the released codes of ACIL and its
            relatives; ``normal``: N(0, 1), as RanPAC.
        generator: a CPU generator.

    >>> drawn(4, 3, "uniform", torch.Generator().manual_seed(0)).abs().max() <= 0.5
    tensor(True)
    """
    made = torch.empty(inputs, width, dtype=torch.float64)
    if how == "normal":
        return made.normal_(generator=generator)
    return made.uniform_(-(inputs**-0.5), inputs**-0.5, generator=generator)


def array_of(path: str, option: str, columns: int, axis: int) -> Tensor:
    """Return the matrix that an .npz file has under the name of an option, float64.

    Args:
        path: the file.
        option: the option that names it, and the array's name.
        columns: how long its axis ``axis`` has to be: the features of the backbone.
        axis: 0 or 1.

    Raises:
        OptionError: there is no such matrix in it, or it is of other features.
    """
    try:
        with opened(path) as arrays:
            if option not in (names := arrays.names()):
                held = ", ".join(sorted(names)) or "nothing"
                raise OptionError(option, f"{path} holds {held[:200]}; allowed: an array called {option}")
            found = arrays.array(option)
    except DataError as error:
        raise OptionError(option, str(error)) from None
    if found.ndim != 2 or found.dtype.kind not in "fiu" or found.shape[axis] != columns or 0 in found.shape:
        wanted = f"[{columns}, width]" if axis == 0 else f"[width, {columns}]"
        raise OptionError(option, f"{path}: {found.dtype} {list(found.shape)}; allowed: numbers {wanted}")
    made = torch.from_numpy(found.astype("float64"))
    if not bool(made.isfinite().all()):
        raise OptionError(option, f"{path} holds NaN or infinite numbers; allowed: finite ones")
    return made
