"""Budget tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cl_engine.memory.alignment.memo_tables import Rate, Row
from cl_engine.reports.text import aligned

HEADING = (
    "stream", "printed MB", "method", "backbone", "exemplars", "MiB", "parameters", "MiB", "total MiB", "",
)  # fmt: skip


RATES = ("data", "backbone", "parameters", "MB", "MiB", "worth in exemplars")

LEGEND = """\
Held after the last experience under the paper policy: 4 bytes a backbone parameter, 1 byte a value of an exemplar.
printed MB: the memory size as printed; - where only the released code has the setting.
paper: MEMO (Zhou et al., ICLR 2023).  survey: the same authors, arXiv 2302.03648."""


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
