"""``result.json``: sealed with a checksum when it is written, and checked whenever it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from cl_engine.errors import InputError

FILE, CONFIG, LINES = "result.json", "config.yaml", "experiences.jsonl"  # of a run directory


class AccuracyRecord(TypedDict):
    """The key ``accuracy`` of a result; fractions.

    Attributes:
        seen: after each experience, on all classes exposed so far; None before the first.
        matrix: row k: after experience k, on each group (see ``stream.groups``); None where not exposed.
        curve: ``[samples delivered, accuracy]``.
    """

    seen: list[float | None]
    matrix: list[list[float | None]]
    curve: list[list[float | int | None]]


class MemoryRecord(TypedDict):
    """The key ``memory`` of a result; bytes, lists with one entry per experience.

    Attributes:
        policy: what the budget counts.
        budget_bytes: the last limit, or None.
        budget_scope: ``everything`` or ``exemplars``, or None.
        limits: the limit after each experience, or None.
        reference_bytes: what the method holds that the budget is aligned to, or None.
        counted_bytes: under the scenario's policy.
        held_bytes: everything.
        paper_bytes: under the policy ``paper``.
        max_held_bytes: the largest of ``held_bytes``.
        mean_held_bytes: their mean.
        training_bytes: the sum of what existed only while it was learned; not in older results.
        training_peak_bytes: the largest sum of what existed only while an experience was learned.
        training_peak: the largest of each by name.
        entries: the ledger: kind, name, shape, dtype, bytes of each tensor.
    """

    policy: str | list[str]
    budget_bytes: int | None
    budget_scope: str | None
    limits: list[int] | None
    reference_bytes: list[int] | None
    counted_bytes: list[int]
    held_bytes: list[int]
    paper_bytes: list[int]
    max_held_bytes: int
    mean_held_bytes: float
    training_bytes: list[int]
    training_peak_bytes: int
    training_peak: dict[str, int]
    entries: list[list[dict[str, Any]]]


class ResultError(InputError):
    """There is no result to read, or it is not what was written."""


def sealed(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result as JSON holds it, with the SHA-256 of everything else as its last key.

    >>> result = sealed({"status": "done", "shape": (2, 3)})
    >>> list(result), result["shape"], result["sha256"][:8]
    (['status', 'shape', 'sha256'], [2, 3], 'd109d646')
    """
    plain = json.loads(json.dumps(result, allow_nan=False))
    return {**plain, "sha256": _digest(plain)}


def read_result(directory: Path) -> dict[str, Any]:
    """Read the result of a finished run.

    Raises:
        ResultError: there is none, or it is not as it was written.
    """
    path = directory / FILE
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        *most, last = result
        fine = last == "sha256" and result[last] == _digest({key: result[key] for key in most})
    except FileNotFoundError:
        raise ResultError(f"{path}: there is no such file, so there is no finished run here") from None
    except OSError as error:
        raise ResultError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, RecursionError):
        fine = False  # no JSON, or no mapping
    if not fine:
        raise ResultError(f"{path}: does not match its checksum; it is damaged or was edited")
    found: dict[str, Any] = result
    return found


def _digest(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
