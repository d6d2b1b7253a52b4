"""Budgets: how much may be held, under which policy, and how much of it is left for exemplars."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field

from cl_engine.kinds.problems import did_you_mean
from cl_engine.memory.compression import ModelDtype
from cl_engine.memory.ledger import (
    Entry,
    MemoryContractError,
    Policy,
    counted_bytes,
    counts,
    held_bytes,
    policy_name,
)

# A unit may be written in any case: nobody means a bit, or the difference between "kb" and "KB".
UNITS = {"b": 1, "kb": 10**3, "kib": 2**10, "mb": 10**6, "mib": 2**20, "gb": 10**9, "gib": 2**30}
SAMPLE_KINDS = ("exemplars", "labels", "offsets")
LABEL_BYTES = 4  # exemplar labels are held as int32
INT32_BYTES = 2**31  # more bytes than an int32 offset can count
MOST = 2**50  # a petabyte; keeps all sums within int64
_SIZES = "bytes such as 4096, '256 KiB' or '7.6 MiB', or '2000 exemplars'"


def parse_budget(value: str | int) -> tuple[Literal["bytes", "exemplars"], int]:
    """Return the unit and the amount of a budget.

    Raises:
        ValueError: not a positive amount of bytes or exemplars.

    >>> parse_budget("1.5 kib"), parse_budget("2000 exemplars"), parse_budget(64)
    (('bytes', 1536), ('exemplars', 2000), ('bytes', 64))
    """
    if isinstance(value, int) and 0 < value < MOST:
        return "bytes", value
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([A-Za-z]+)", str(value).strip())
    if match:
        amount, unit = match[1], match[2].lower()
        if unit in ("exemplars", "exemplar") and amount.isdigit() and 0 < int(amount) < MOST:
            return "exemplars", int(amount)
        if unit in UNITS and 1 <= float(amount) * UNITS[unit] < MOST:
            return "bytes", int(float(amount) * UNITS[unit])
    raise ValueError(f"got {value!r}{_meant(str(value).strip(), match)}; allowed: {_SIZES}")


def _meant(text: str, amount_and_unit: re.Match[str] | None) -> str:
    """Say what a budget that is none was probably meant to be."""
    if amount_and_unit:
        unit = amount_and_unit[2].lower()
        known = [*UNITS, "exemplars"]
        return did_you_mean(unit, known) if unit not in known else ""
    if re.fullmatch("[1-9][0-9]{0,14}", text):
        return f", a text without a unit; write {text} without quotes for bytes, or '{text} exemplars'"
    return ""


def _checked(value: str | int | dict[str, Any] | None) -> str | int | dict[str, Any] | None:
    if isinstance(value, str | int):
        parse_budget(value)
    return value


@dataclass(frozen=True)
class MemoryOptions:
    """The `memory` section of a scenario."""

    budget: Annotated[
        str | int | dict[str, Any] | None,
        AfterValidator(_checked),
        Field(
            description=f"what may be held at every boundary: {_SIZES}, or {{aligned_to: der-expandable, ...}}; "
            "exceeded, the run stops with exit status 3"
        ),
    ] = None
    policy: Annotated[
        Literal["full", "paper"] | list[str],
        Field(
            description="what the budget counts: everything; backbone parameters and exemplars (MEMO); or a list "
            "of kinds, such as [parameters, head, exemplars, teacher]"
        ),
    ] = "full"
    exemplars: Annotated[
        Literal["fill", "fixed"],
        Field(
            description="exemplars take what the rest leaves free at each boundary (fill), or one number that fits "
            "at every boundary (fixed, as in the papers)"
        ),
    ] = "fill"
    model_dtype: Annotated[
        ModelDtype, Field(description="what the model is held as between experiences; int8 with a scale per row")
    ] = "float32"
    audit: Annotated[
        Literal["rebuild", "process"],
        Field(
            description="at every boundary the strategy is thrown away and rebuilt from its checkpoint (rebuild); "
            "each experience is also learned in a fresh process (process)"
        ),
    ] = "rebuild"

    @property
    def counted(self) -> Policy:
        """The policy in the form that the ledger takes."""
        return self.policy if isinstance(self.policy, str) else tuple(self.policy)


class Room(NamedTuple):
    """What a budget leaves for exemplars.

    Attributes:
        bytes: for the exemplars, and for their labels, offsets and columns where the policy counts those.
        policy: what counts.
        scope: of the budget; one of ``exemplars`` counts no further columns.
    """

    bytes: int
    policy: Policy
    scope: Literal["everything", "exemplars"] = "everything"

    @property
    def counts_samples(self) -> bool:
        """Whether the policy counts the samples themselves."""
        return counts(self.policy, "exemplars")

    def beside(self, offsets: bool, columns: Mapping[str, int] | None = None) -> int:
        """Return the bytes counted for one exemplar beside its sample.

        Args:
            offsets: whether it has one.
            columns: bytes of one row of what is stored beside it, by kind.
        """
        beside = {**(columns or {}), "labels": LABEL_BYTES}
        if offsets:
            beside["offsets"] = 4 if self.bytes < INT32_BYTES else 8
        if self.scope == "exemplars":
            beside = {kind: amount for kind, amount in beside.items() if kind in SAMPLE_KINDS}
        return sum(amount * counts(self.policy, kind) for kind, amount in beside.items())


@dataclass(frozen=True)
class Budget:
    """A limit in bytes under a policy.

    Attributes:
        bytes: the limit; the last one where it changes.
        policy: ``full``, ``paper``, or the kinds that count.  Only a list of kinds can count what exists only while
            training (``teacher``, ``optimizer``, ...).
        scope: ``everything``, or ``exemplars`` for a budget given as a number of exemplars, which limits the
            exemplars (and their labels and offsets, where the policy counts them) and leaves the model free, as
            in the papers.  It stands for the bytes of so many raw samples, so a smaller codec holds more of them.
        sample_bytes: bytes of one raw sample.
        fixed: the constant bytes for exemplars under ``exemplars: fixed``, else None.
        limits: the limit after each experience, where it changes from one to the next.
        extractor: what makes the features that samples are; held beside all that the strategy holds.
    """

    bytes: int
    policy: Policy
    scope: Literal["everything", "exemplars"]
    sample_bytes: int
    fixed: int | None = None
    limits: tuple[int, ...] = ()
    extractor: tuple[Entry, ...] = ()

    @classmethod
    def from_options(
        cls, options: MemoryOptions, sample_bytes: int, extractor: tuple[Entry, ...] = ()
    ) -> Budget | None:
        """Return the budget that the options ask for in bytes or exemplars, or None for no limit.

        Raises:
            ValueError: the budget does not hold one exemplar.
        """
        if options.budget is None or isinstance(options.budget, dict):
            return None
        policy = options.counted
        unit, amount = parse_budget(options.budget)
        each = exemplar_bytes(sample_bytes, policy)
        if unit == "exemplars":
            return cls(amount * each, policy, "exemplars", sample_bytes, extractor=extractor)
        if amount < each:
            raise ValueError(
                f"{options.budget} is less than one exemplar, {each} bytes under the {policy_name(policy)} policy; "
                f"allowed: {each} bytes or more"
            )
        return cls(amount, policy, "everything", sample_bytes, extractor=extractor)

    def at(self, experience: int) -> Budget:
        """Return the budget as it stands after an experience."""
        return replace(self, bytes=self.limits[experience], limits=()) if self.limits else self

    def charged(self, entries: Iterable[Entry], transient: Mapping[str, int] | None = None) -> int:
        """Return the bytes that count against this budget."""
        if self.scope == "exemplars":
            return held_bytes([e for e in entries if e.kind in SAMPLE_KINDS], self.policy)
        return counted_bytes([*self.extractor, *entries], transient or {}, self.policy)

    def until(self, experience: int) -> Budget:
        """Return the budget without the limits after ``experience``."""
        return (
            replace(self, bytes=self.limits[experience], limits=self.limits[: experience + 1])
            if self.limits
            else self
        )

    def room(
        self,
        entries: Iterable[Entry],
        transient: Mapping[str, int] | None = None,
        columns: Collection[str] = (),
    ) -> Room:
        """Return what is left for exemplars beside the other ``entries``.

        Args:
            entries: what is held now, the exemplars included.
            transient: bytes that exist only while training, by name.
            columns: kinds that are stored beside each exemplar.
        """
        if self.fixed is not None:
            return Room(self.fixed, self.policy, self.scope)
        rest = self.charged([e for e in entries if e.kind not in (*SAMPLE_KINDS, *columns)], transient)
        return Room(max(self.bytes - rest, 0), self.policy, self.scope)

    def exemplars(self, entries: Iterable[Entry], transient: Mapping[str, int] | None = None) -> int:
        """Return how many raw exemplars may be held beside the other ``entries``."""
        each = exemplar_bytes(self.sample_bytes, self.policy)
        return self.room(entries, transient).bytes // each if each else 0

    def enforce(self, entries: list[Entry], transient: Mapping[str, int], experience: int) -> None:
        """Raise MemoryContractError, with the entries, if they exceed the budget after ``experience``."""
        charged, limit = self.charged(entries, transient), self.at(experience).bytes
        if charged > limit:
            what = "exemplars alone" if self.scope == "exemplars" else "everything held"
            passing = []
            if self.scope != "exemplars" and not isinstance(self.policy, str):
                counted = {name: n for name, n in transient.items() if name in self.policy}
                passing = [Entry(name, "only while training", (), "", n) for name, n in counted.items()]
                what += " and taken while training" if passing else ""
            raise MemoryContractError(
                f"after experience {experience + 1}: {charged:,} bytes under the {policy_name(self.policy)} policy "
                f"({what}), {charged - limit:,} over the budget of {limit:,}",
                [*self.extractor, *entries, *passing],
            )


def exemplar_bytes(sample_bytes: int, policy: Policy) -> int:
    """Return what one raw exemplar costs under a policy: its sample, and its label where labels count."""
    return sample_bytes + LABEL_BYTES * counts(policy, "labels")
