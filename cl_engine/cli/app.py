"""The commands, put together.  Heavy imports wait until a command needs them, so that ``--help`` is quick."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cl_engine.cli.budget import budget
from cl_engine.cli.cache import cache
from cl_engine.cli.check import check
from cl_engine.cli.compare import compare
from cl_engine.cli.compatibility import compatibility
from cl_engine.cli.data import data
from cl_engine.cli.doctor import doctor
from cl_engine.cli.features import features
from cl_engine.cli.list import list_kinds
from cl_engine.cli.merge import merge
from cl_engine.cli.options import show_version
from cl_engine.cli.preview import preview
from cl_engine.cli.report import report
from cl_engine.cli.run import run
from cl_engine.cli.runs import runs
from cl_engine.cli.schema import schema
from cl_engine.cli.status import exit_status
from cl_engine.cli.sweep import sweep
from cl_engine.cli.unlearn import unlearn

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Exit status: 0 done; 2 the input is wrong; 3 the strategy broke its memory contract; 130 interrupted, "
    "resumable; 1 anything else.",
)


@app.callback()
def cl_engine(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run a continual-learning strategy over a simulated stream: accuracy, and every byte kept to reach it."""


app.command()(run)
app.command()(sweep)
app.command()(report)
app.command()(runs)
app.command()(compare)
app.command()(check)
app.command()(data)
app.command()(features)
app.command()(compatibility)
app.command()(unlearn)
app.command()(merge)
app.command()(preview)
app.command()(budget)
app.command("list")(list_kinds)
app.command()(doctor)
app.command()(schema)
app.add_typer(cache, name="cache")


def main() -> None:
    """Run the command line; what a user can mend is one line on standard error and an exit status."""
    sys.exit(_status())


def _status() -> int:
    return exit_status(lambda: typer.main.get_command(app).main(prog_name="cl-engine", standalone_mode=False))
