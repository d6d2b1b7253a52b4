"""``cl-engine budget``."""

from __future__ import annotations

import contextlib
import enum
import json
import sys
from typing import Annotated

import typer

from cl_engine.cli.options import Json, Set, load_scenario


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
    """Show what will be held after every experience, before anything is trained."""
    if file is not None and table is None:
        print(_planned(file, overrides, as_json))
    elif table is not None and file is None:
        print(_published(as_json))
    else:
        raise typer.BadParameter("allowed: a scenario FILE, or --table memo")


def _planned(file: str, overrides: list[str] | None, as_json: bool) -> str:
    from cl_engine.running.planner import memory_table, plan_memory

    with contextlib.redirect_stdout(sys.stderr):  # a strategy may print
        plan = plan_memory(load_scenario(file, overrides))
    return json.dumps(plan) if as_json else memory_table(plan)


def _published(as_json: bool) -> str:
    from cl_engine.memory.alignment.memo_tables import memo_tables
    from cl_engine.reports.budget import tables_text

    tables = memo_tables()
    if not as_json:
        return tables_text(tables)
    plain = [{"title": title, "rows": [row.plain() for row in rows]} for title, rows in tables.items()]
    return json.dumps({"table": "memo", "policy": "paper", "tables": plain})
