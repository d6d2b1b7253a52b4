"""What losses take: checks of their arguments, and means that are 0 over nothing."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def mean_of(values: Tensor) -> Tensor:
    """Return the mean of values ``[B]``; 0 over nothing."""
    return values.sum() / max(len(values), 1)


def mean_cross_entropy(scores: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy of scores ``[B, C]``; 0 over nothing."""
    return F.cross_entropy(scores, y, reduction="sum") / max(len(y), 1)


def described(tensor: Tensor) -> str:
    """Return type and shape of a tensor, for a message."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def check_matrix(name: str, tensor: Tensor, allowed: str) -> None:
    """Raise ValueError unless a tensor is a matrix of floating-point numbers."""
    if tensor.ndim != 2 or not tensor.is_floating_point():
        raise ValueError(f"{name} is {described(tensor)}; allowed: floating point {allowed}")


def check_same_shape(new: Tensor, old: Tensor, allowed: str) -> None:
    """Raise ValueError unless both are matrices of one shape."""
    check_matrix("new", new, allowed)
    if new.shape != old.shape:
        raise ValueError(f"new is {list(new.shape)} and old is {list(old.shape)}; allowed: the same {allowed}")


def check_same_width(name: str, tensor: Tensor, other_name: str, other: Tensor) -> None:
    """Raise ValueError unless both have as many columns."""
    if tensor.shape[1] != other.shape[1]:
        found = f"{name} is {list(tensor.shape)} and {other_name} is {list(other.shape)}"
        raise ValueError(f"{found}; allowed: the same number of columns")


def check_labels(y: Tensor, rows: int, classes: int | None = None, name: str = "y") -> None:
    """Raise ValueError unless there is an int64 label for each row, below ``classes`` where these are given."""
    if y.shape != (rows,) or y.dtype != torch.int64:
        raise ValueError(f"{name} is {described(y)}; allowed: int64 [{rows}], a label for each row")
    if classes is not None:
        check_no_label(y, (y < 0) | (y >= classes), f"0 to {classes - 1}" if classes else "none, there is no class")


def check_no_label(y: Tensor, wrong: Tensor, allowed: str) -> None:
    """Raise ValueError where a label is wrong, bool ``[B]``."""
    if bool(wrong.any()):
        raise ValueError(f"y holds the label {int(y[wrong][0])}; allowed: {allowed}")


def check_positive(name: str, value: float) -> None:
    """Raise ValueError unless a number is above 0."""
    if not value > 0:
        raise ValueError(f"{name} is {value}; allowed: above 0")


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise ValueError unless a word is one of those allowed."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed: {' or '.join(map(repr, allowed))}")
