"""What a strategy will hold at the least, known before it sees a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from cl_engine.memory.budget import SAMPLE_KINDS, Budget
from cl_engine.memory.compression import ModelDtype, packed_entries
from cl_engine.memory.ledger import Entry, Policy, held_bytes, ledger, policy_name
from cl_engine.memory.state import is_known, loads_otherwise
from cl_engine.strategies.rebuilding import Rebuilder, begin

MOST_WORK = 2**31  # bytes held times experiences begun with them


class Least(NamedTuple):
    """What is held at the least after so many experiences: bytes that count, and the budget by then."""

    experiences: int
    bytes: int
    limit: int


class Shortage(NamedTuple):
    """A budget that cannot be kept, whatever the samples are.

    Attributes:
        first: where it is exceeded first.
        worst: where the most is held.
    """

    first: Least
    worst: Least

    def words(self, policy: Policy) -> str:
        """Say what is wrong and what is allowed."""
        when, least, limit = self.first
        return (
            f"after experience {when} the strategy holds at least {least:,} bytes without one exemplar "
            f"({policy_name(policy)} policy), {least - limit:,} over the budget of {limit:,}; allowed: "
            f"{self.worst.bytes:,} bytes or more, its least after experience {self.worst.experiences}"
        )


def shortage(rebuilder: Rebuilder) -> Shortage | None:
    """Begin the experiences without data; return where that alone exceeds the budget, if it does.

    The ledger is looked at after 1, 2, 4, 8, ... experiences and the last, as looking after each would cost the
    square of their number where the network grows; and no further than about a second's work goes.  What does not
    show by then is left to the run.
    """
    budget, last = rebuilder.terms.budget, len(rebuilder.terms.exposures)
    if budget is None or budget.scope == "exemplars":
        return None
    looks = [*(2**n for n in range(last.bit_length()) if 2**n < last), last]
    found = _looks(rebuilder, budget, looks)
    over = next((least.experiences for least in found if least.bytes > least.limit), None)
    if over is None:
        return None
    before = max((look for look in looks if look < over), default=0)
    closer = _looks(rebuilder, budget, range(before + 1, over + 1))
    first = next(least for least in closer if least.bytes > least.limit)
    return Shortage(first, max(found, key=lambda least: least.bytes))


def _looks(rebuilder: Rebuilder, budget: Budget, looks: Sequence[int]) -> list[Least]:
    """Return what is held after each of so many experiences, ascending, as far as the work allowed goes."""
    terms, strategy, found, begun = rebuilder.terms, rebuilder.begun(0), list[Least](), 0
    for look in looks:
        if (look - begun) * held_bytes(ledger(strategy)) > MOST_WORK:
            break
        for index in range(begun, look):
            begin(strategy, terms.task(index), terms.seed)
        begun = look
        least = budget.charged(least_entries(strategy, terms.model_dtype))
        found.append(Least(look, least, budget.at(look - 1).bytes))
    return found


def least_entries(strategy: nn.Module, model_dtype: ModelDtype) -> list[Entry]:
    """Return what a strategy that has begun, and saw no sample, is certain to hold after learning too.

    What the package's own strategies make in ``begin`` never shrinks.  A user's own may shrink what it holds, and
    hold float32 parameters in half precision; but every parameter is loaded back into what ``begin`` builds, so the
    number of its values is certain, unless a module has its own way of loading.
    """
    parts, entries = list(strategy.modules()), ledger(strategy)
    if all(is_known(type(part)) for part in parts):
        return [entry for entry in packed_entries(entries, model_dtype) if entry.kind not in SAMPLE_KINDS]
    if any(loads_otherwise(part) for part in parts):
        return []
    parameters = {name for name, _ in strategy.named_parameters(remove_duplicate=False)}
    each = 1 if model_dtype == "int8" else 2
    return [
        entry._replace(bytes=entry.bytes // 4 * each) if entry.dtype == "float32" else entry
        for entry in entries
        if entry.name in parameters
    ]
