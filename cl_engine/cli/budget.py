"""``cl-engine budget``."""

from __future__ import annotations

import contextlib
import enum
import json
import sys
from typing import Annotated

import typer

from cl_engine.cli.options import Json, Set, load_scenario, note_sweep


class Table(str, enum.Enum):
    """Published tables that `budget` can compute."""

    memo = "memo"


def budget(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="A scenario file (YAML), or the name of a shipped one.")
    ] = None,
    overrides: Set = None,
    table: Annotated[
        Table | None,
        typer.Option(
            help="Instead of FILE: memory-aligned settings of a paper, computed.  memo: Zhou et al., ICLR 2023."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what will be held after every experience, before anything is trained.

    Exit status 3 where that goes over the budget, as the run then would.
    """
    if file is not None and table is None:
        text, kept = _planned(file, overrides, as_json)
        print(text)
        if not kept:
            from cl_engine.memory.ledger import MemoryContractError

            raise typer.Exit(MemoryContractError.status)
    elif table is not None and file is None:
        print(_published(as_json))
    else:
        raise typer.BadParameter("allowed: a scenario FILE, or --table memo")


def _planned(file: str, overrides: list[str] | None, as_json: bool) -> tuple[str, bool]:
    """Return the plan as text, and whether the budget is kept."""
    from cl_engine.running.planner import memory_table, over_budget, plan_memory

    with contextlib.redirect_stdout(sys.stderr):  # a strategy may print
        scenario = load_scenario(file, overrides)
        note_sweep(scenario, file)
        plan = plan_memory(scenario)
    return json.dumps(plan) if as_json else memory_table(plan), not over_budget(plan)


def _published(as_json: bool) -> str:
    from cl_engine.memory.alignment.memo_tables import exchange_rates, memo_tables
    from cl_engine.reports.budget import exchange_text, tables_text

    rates, tables = exchange_rates(), memo_tables()
    if not as_json:
        return f"{exchange_text(rates)}\n\n{tables_text(tables)}"
    plain = [{"title": title, "rows": [row.plain() for row in rows]} for title, rows in tables.items()]
    return json.dumps(
        {"table": "memo", "policy": "paper", "exchange": [rate.plain() for rate in rates], "tables": plain}
    )
