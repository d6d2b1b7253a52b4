"""The command line.  Heavy imports wait until a command needs them, so that ``--help`` is quick."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cl_engine.config.scenario import Scenario
    from cl_engine.running.record import RunRecord

DONE, FAILED, WRONG_INPUT, BROKEN_CONTRACT, INTERRUPTED = 0, 1, 2, 3, 130

# typer either needs click or carries a copy of it; its own exception leads to the right base class in both cases.
USAGE_ERROR: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Run a continual-learning strategy over a simulated stream: accuracy, and every byte kept to reach it.",
    epilog="Exit status: 0 done; 2 the input is wrong; 3 the strategy broke its memory contract; 130 interrupted, "
    "resumable; 1 anything else.",
)

File = Annotated[str, typer.Argument(metavar="FILE", help="A scenario file (YAML), or the name of a shipped one.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Replace a key, e.g. strategy=replay or stream.step=5; repeatable."
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")
]


class What(str, enum.Enum):
    """What `list` can list."""

    data = "data"
    streams = "streams"
    strategies = "strategies"
    backbones = "backbones"
    codecs = "codecs"
    metrics = "metrics"
    scenarios = "scenarios"


class Table(str, enum.Enum):
    """Published tables that `budget` can compute."""

    memo = "memo"


@app.command()
def run(
    file: File,
    overrides: Set = None,
    out: Annotated[Path, typer.Option(help="Folder for the run directory NAME-ID.")] = Path("runs"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a run that was interrupted or killed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a scenario: accuracy, and every byte kept to reach it."""
    from cl_engine.engine import run as run_scenario
    from cl_engine.reports.progress import Progress

    progress = Progress()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a strategy may print; results stand alone
            record = run_scenario(_load(file, overrides), out=out, resume=resume, reporter=progress)
    except KeyboardInterrupt:
        progress.close()
        again = shlex.join(["cl-engine", *(a for a in sys.argv[1:] if a != "--resume"), "--resume"])
        where = f"; finished experiences are kept in {progress.directory}" if progress.directory else ""
        _complain(f"interrupted{where}; continue with: {again}")
        sys.exit(INTERRUPTED)
    finally:
        progress.close()
    if as_json:
        print(json.dumps(record.to_dict(), allow_nan=False))
    else:
        _print_results(record, file, out)


@app.command()
def check(file: File, overrides: Set = None, as_json: Json = False) -> None:
    """Validate a scenario without training anything."""
    scenario = _load(file, overrides)
    facts = {
        "name": scenario.name,
        "id": scenario.id,
        "experiences": len(scenario.plan),
        "samples": len(scenario.plan.indices),
        "classes": len(set(scenario.labels.train.tolist())),
        "fingerprint": scenario.plan.fingerprint,
        "config": scenario.to_dict(),
    }
    if as_json:
        print(json.dumps(facts))
    else:
        print(f"{file}: fine")
        print("  {experiences} experiences, {samples:,} samples, {classes} classes".format(**facts))
        print("  stream fingerprint {fingerprint}".format(**facts))


@app.command()
def preview(
    file: File,
    overrides: Set = None,
    out: Annotated[Path, typer.Option(help="Folder for the picture, NAME-preview.svg and .html.")] = Path("."),
    export: Annotated[
        Path | None,
        typer.Option(metavar="PLAN.npz", help="Write the plan: indices, offsets, and what else it needs."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a stream as a table and a picture, before anything is trained."""
    from cl_engine.reports.preview import overview, picture, table
    from cl_engine.running.store import writing
    from cl_engine.scenarios.families.stored import store

    scenario = _load(file, overrides)
    facts = overview(scenario.labels.train, scenario.plan)
    stem = out / f"{scenario.name}-preview"
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        title = f"{scenario.name}: {scenario.stream['kind']}"
        facts["files"] = [str(f) for f in picture(scenario.labels.train, scenario.plan, title, stem)]
    if export:
        with writing(export):
            store(scenario.plan, export)
        facts["files"].append(str(export))
    if as_json:
        print(json.dumps({"name": scenario.name, **facts}))
    else:
        print(table(facts))
        print("\n".join(facts["files"]))


@app.command()
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
    if (file is None) == (table is None):
        raise typer.BadParameter("allowed: a scenario FILE, or --table memo")
    if file is not None:
        from cl_engine.running.planner import memory_table, plan_memory

        with contextlib.redirect_stdout(sys.stderr):
            plan = plan_memory(_load(file, overrides))
        print(json.dumps(plan) if as_json else memory_table(plan))
        return
    from cl_engine.memory.alignment.memo_tables import memo_tables
    from cl_engine.reports.budget import tables_text

    tables = memo_tables()
    if as_json:
        plain = [{"title": title, "rows": [row.plain() for row in rows]} for title, rows in tables.items()]
        print(json.dumps({"table": "memo", "policy": "paper", "tables": plain}))
    else:
        print(tables_text(tables))


@app.command("list")
def list_kinds(
    what: Annotated[What | None, typer.Argument(help="Only this; everything without it.")] = None,
    as_json: Json = False,
) -> None:
    """List every kind with its description and options."""
    listed = {each.value: _listed(each) for each in ([what] if what else What)}
    if as_json:
        print(json.dumps(listed))
        return
    for heading, entries in listed.items():
        print(heading)
        for entry in entries:
            print(f"  {entry['name']}: {entry['description']}")
            for option in entry.get("options", []):
                print(
                    f"      {option['name']} = {option['default']}  ({option['allowed']})  {option['description']}"
                )


@app.command()
def schema() -> None:
    """Print the JSON Schema of a scenario file, for editors that complete and check YAML."""
    from cl_engine.config.scenario import scenario_schema

    print(json.dumps(scenario_schema(), indent=1))


def main() -> None:
    """Run the command line; what a user can mend is one line on standard error and an exit status."""
    sys.exit(_status())


def _status() -> int:
    try:
        status = typer.main.get_command(app).main(prog_name="cl-engine", standalone_mode=False)
        sys.stdout.flush()
        if status == INTERRUPTED:
            _complain("interrupted")
        return status if isinstance(status, int) else DONE
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        return _explain(error)


def _explain(error: Exception) -> int:
    """Print one line for an error that the user can act on, and return its exit status; raise any other."""
    if isinstance(error, USAGE_ERROR):
        _complain(f"{' '.join(error.format_message().split())} (see cl-engine --help)")
        return WRONG_INPUT

    from cl_engine.config.scenario import ConfigError
    from cl_engine.data.samples import DataError
    from cl_engine.memory.ledger import MemoryContractError, table
    from cl_engine.running.isolated import ProcessError
    from cl_engine.running.store import ResumeError, StoreError
    from cl_engine.terms.task import HiddenError
    from cl_engine.training.loop import DivergedError

    if isinstance(error, ConfigError):
        print(error, file=sys.stderr)
        return WRONG_INPUT
    if isinstance(error, MemoryContractError):
        _complain(str(error))
        if error.entries:
            print(table(error.entries), file=sys.stderr)
        return BROKEN_CONTRACT
    if isinstance(error, DataError | ResumeError):
        _complain(str(error))
        return WRONG_INPUT
    if isinstance(
        error, StoreError | ProcessError | DivergedError | HiddenError | FloatingPointError | MemoryError
    ):
        _complain(str(error) or type(error).__name__)
        return FAILED
    raise error


def _complain(text: str) -> None:
    print(f"cl-engine: {text}", file=sys.stderr)


def _load(file: str, overrides: list[str] | None) -> Scenario:
    from cl_engine.config.scenario import Scenario
    from cl_engine.scenarios.shipped import find

    with contextlib.redirect_stdout(sys.stderr):  # a user's module may print when it is imported
        return Scenario.load(find(file), overrides or [])


def _print_results(record: RunRecord, file: str, out: Path) -> None:
    from cl_engine.kinds.registry import kinds
    from cl_engine.reports.text import comparison, finished_runs, summary

    result = record.to_dict()
    print(f"\n{summary(result)}")
    peers = finished_runs(out, result)
    if len(peers) > 1:
        print(f"\nall runs of this stream in {out}\n{comparison(peers)}")
    used = result["config"]["strategy"]["kind"]
    first, *others = [kind for kind in kinds("strategies") if kind != used]
    print(f"\nrun: {record.directory}")
    print(f"compare: cl-engine run {shlex.quote(file)} --set strategy={first}   (or {', '.join(others)})")


def _listed(what: What) -> list[dict[str, Any]]:
    if what is What.metrics:
        from cl_engine.metrics import DESCRIPTIONS

        return [{"name": name, "description": text} for name, text in DESCRIPTIONS.items()]
    if what is What.scenarios:
        from cl_engine.scenarios.shipped import shipped

        return [{"name": name, "description": text} for name, text in shipped().items()]
    from cl_engine.kinds.listing import options
    from cl_engine.kinds.registry import kinds, load, shared
    from cl_engine.kinds.signature import describe

    listed = [(kind, load(what.value, kind)) for kind in kinds(what.value)]
    common = shared(what.value)
    return [
        {"name": name, "description": describe(target), "options": [option._asdict() for option in options(target)]}
        for name, target in [*listed, *([("(every kind)", common)] if common else [])]
    ]
