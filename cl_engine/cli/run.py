"""``cl-engine run``."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cl_engine.cli.options import File, Json, Set, load_scenario, note_sweep
from cl_engine.errors import EngineError

if TYPE_CHECKING:
    from cl_engine.running.record import RunRecord


class Interrupted(EngineError):
    """The user stopped a run; the message says how to continue it."""

    status = 130


def run(
    file: File,
    overrides: Set = None,
    out: Annotated[Path, typer.Option(help="Folder for the run directory NAME-ID.")] = Path("runs"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a run that was interrupted or killed.")
    ] = False,
    log: Annotated[
        list[str] | None, typer.Option(help="Log each experience to `tensorboard` or `wandb` too; repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a scenario: accuracy, and every byte kept to reach it."""
    from cl_engine.engine import run as run_scenario
    from cl_engine.reports.progress import Progress
    from cl_engine.reports.sinks import Several, sink
    from cl_engine.running.allocation import keep_freed_memory

    keep_freed_memory()
    progress = Progress()
    told = Several(progress, *map(sink, log or []))
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a strategy may print; results stand alone
            scenario = load_scenario(file, overrides)
            note_sweep(scenario, file)
            record = run_scenario(scenario, out=out, resume=resume, reporter=told)
    except KeyboardInterrupt:
        again = shlex.join(["cl-engine", *(a for a in sys.argv[1:] if a != "--resume"), "--resume"])
        where = f"; finished experiences are kept in {progress.directory}" if progress.directory else ""
        raise Interrupted(f"interrupted{where}; continue with: {again}") from None
    finally:
        told.close()
    print(json.dumps(record.to_dict(), allow_nan=False) if as_json else _results(record, file, out))


def _results(record: RunRecord, file: str, out: Path) -> str:
    """Return the tables of a run, the runs it compares with, and what to try next."""
    from cl_engine.kinds.registry import kinds
    from cl_engine.reports.service import service_text
    from cl_engine.reports.text import comparison, finished_runs, summary

    result = record.to_dict()
    blocks = [summary(result)]
    if "service" in result:
        blocks.append(service_text(result["service"]))
    peers = finished_runs(out, result)
    if len(peers) > 1:
        blocks.append(f"all runs of this stream in {out}\n{comparison(peers)}")
    used = result["config"]["strategy"]["kind"]
    first, *others = [kind for kind in kinds("strategies") if kind != used]
    more = f"{', '.join(others[:3])} and {len(others) - 3} more: cl-engine list strategies"
    compare = f"cl-engine run {shlex.quote(file)} --set strategy={first}   (or {more})"
    blocks.append(f"run: {record.directory}\ncompare: {compare}")
    return "".join(f"\n{block}\n" for block in blocks).rstrip("\n")
