"""Budget tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cl_engine.memory.alignment.memo_tables import Rate, Row
from cl_engine.memory.budget import Budget
from cl_engine.memory.ledger import policy_name
from cl_engine.reports.text import aligned, size

HEADING = (
    "stream", "printed MB", "method", "backbone", "exemplars", "MiB", "parameters", "MiB", "total MiB", "",
)  # fmt: skip


RATES = ("data", "backbone", "parameters", "MB", "MiB", "worth in exemplars")

LEGEND = """\
Held after the last experience under the paper policy: 4 bytes a backbone parameter, 1 byte a value of an exemplar.
printed MB: the memory size as printed; - where only the released code has the setting.
paper: MEMO (Zhou et al., ICLR 2023).  survey: the same authors, arXiv 2302.03648."""


def budget_words(budget: Budget | None) -> str:
    """Say in words what a budget limits.

    >>> budget_words(None), budget_words(Budget(4096, "paper", "exemplars", 64))
    ('no budget', 'budget 4 KiB (4,096 bytes) for exemplars alone, under the paper policy; the model is free')
    """
    if budget is None:
        return "no budget"
    limits = sorted({*budget.limits, budget.bytes})
    amount = " to ".join(f"{size(limit)} ({limit:,} bytes)" for limit in dict.fromkeys([limits[0], limits[-1]]))
    alone = budget.scope == "exemplars"
    what = "for exemplars alone" if alone else "for everything held"
    free = "; the model is free" if alone else ""
    return f"budget {amount} {what}, under the {policy_name(budget.policy)} policy{free}"


def exchange_text(rates: Sequence[Rate]) -> str:
    """Return the exchange rates as text: what each backbone costs, and how many exemplars cost as much."""
    rows = [
        (
            f"{rate.images.name} {'x'.join(map(str, rate.images.shape))}",
            rate.backbone,
            f"{rate.parameters:,}",
            f"{rate.bytes / 10**6:,.2f}",
            _mib(rate.bytes),
            f"{rate.exemplars:,}",
        )
        for rate in rates
    ]
    return f"What a backbone is worth in exemplars\n{aligned([RATES, *rows])}"


def tables_text(tables: Mapping[str, Sequence[Row]]) -> str:
    """Return the memory-aligned tables as text: what each method holds, and which entries are printed otherwise."""
    blocks = [f"{title}\n{aligned([HEADING, *map(_cells, rows)])}" for title, rows in tables.items()]
    return "\n\n".join([*blocks, LEGEND])


def _cells(row: Row) -> tuple[str, ...]:
    nominal, held = row.setting.nominal, row.held
    return (
        row.setting.stream,
        "-" if nominal is None else f"{nominal:g}",
        row.method,
        row.backbone,
        f"{held.exemplars:,}",
        _mib(held.exemplar_bytes),
        f"{held.parameters:,}",
        _mib(held.model_bytes),
        _mib(held.bytes),
        "; ".join(f"{entry.source} prints {entry.value:,} {entry.column}" for entry in row.printed),
    )


def _mib(amount: int) -> str:
    return f"{amount / 2**20:,.2f}"
