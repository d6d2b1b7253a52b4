"""Every error that a user can act on is one line on standard error and an exit status."""

import importlib
import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import typer

import cl_engine
from cl_engine.cli.app import app
from cl_engine.cli.status import exit_status
from cl_engine.config.scenario import ConfigError
from cl_engine.errors import EngineError, InputError, known_errors
from cl_engine.memory.ledger import Entry, MemoryContractError

LINE = "cl-engine: what went wrong"
ENTRY = Entry("exemplars", "images", (3, 64), "uint8", 192)
BINARY = [sys.executable, "-m", "cl_engine"]


def ended(error):
    """Return the exit status of a command that raises ``error``, and its two outputs."""

    def command():
        print("half a table")
        raise error

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = exit_status(command)
    return status, out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (EngineError("what went wrong"), 1, [LINE]),
        (InputError("what went wrong"), 2, [LINE]),
        (ConfigError("a.yaml:1:1: x: bad\na.yaml:2:1: y: bad"), 2, ["a.yaml:1:1: x: bad", "a.yaml:2:1: y: bad"]),
        (MemoryContractError("what went wrong"), 3, [LINE]),
        (KeyboardInterrupt(), 130, ["cl-engine: interrupted"]),
        (typer.Abort(), 130, ["cl-engine: interrupted"]),
        (typer.BadParameter("what\nwent wrong"), 2, ["cl-engine: Invalid value: what went wrong (see cl-engine --help)"]),
        (FloatingPointError("what went wrong"), 1, [LINE]),
        (MemoryError(), 1, ["cl-engine: MemoryError"]),
        (BrokenPipeError(), 1, []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)  # fmt: skip
def test_an_error_ends_with_its_status_and_its_lines(error, status, told):
    found, out, err = ended(error)
    assert found == status
    assert err.splitlines() == told
    assert out == ""


def test_an_option_that_a_command_does_not_have_points_to_the_help_of_that_command(capsys):
    command = typer.main.get_command(app)
    assert (
        exit_status(lambda: command.main(["run", "a.yaml", "--sett", "x"], "cl-engine", standalone_mode=False)) == 2
    )
    assert capsys.readouterr().err.endswith("(see cl-engine run --help)\n")


def test_a_broken_memory_contract_shows_the_entries():
    status, _, err = ended(MemoryContractError("what went wrong", [ENTRY]))
    assert status == 3
    first, heading, row = err.splitlines()
    assert first == LINE
    assert heading.split() == ["kind", "name", "shape", "dtype", "bytes"]
    assert row.split() == ["exemplars", "images", "3x64", "uint8", "192"]


def test_every_error_of_the_package_has_a_status_that_the_help_names():
    importlib.import_module("cl_engine.engine")  # imports every error class
    assert {error.status for error in known_errors().values()} <= {1, 2, 3, 130}


@pytest.mark.parametrize("error", [ZeroDivisionError("a fault"), OSError("of the program"), SystemExit(7)])
def test_any_other_error_is_a_fault_and_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        ended(error)


def shell(line, *arguments, **options):
    return subprocess.run(
        ["sh", "-c", f'"$@" {line}', "sh", *BINARY, *arguments], capture_output=True, text=True, **options
    )


COMMANDS = [["list"], ["schema"], ["--help"], ["--version"], ["check", "quickstart"], ["budget", "--table", "memo"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("redirection", "told"),
    [
        (">&-", "cl-engine: standard output is closed; allowed: a terminal, a pipe or a file"),
        ("> /dev/full", "cl-engine: standard output cannot be written: No space left on device"),
    ],
)
def test_output_that_cannot_be_written_is_one_line(command, redirection, told):
    if "full" in redirection and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = shell(redirection, *command)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [told]


def test_a_run_whose_output_is_lost_is_still_kept(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = shell("> /dev/full", "run", "quickstart", "--out", str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (directory,) = tmp_path.iterdir()
    assert cl_engine.RunRecord.load(directory).to_dict()["status"] == "done"


def test_a_reader_that_goes_away_is_no_traceback():
    done = subprocess.run(
        ["sh", "-c", 'for i in 1 2 3; do "$@" list; done | head -c 1', "sh", *BINARY],
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""


def test_a_closed_standard_error_changes_nothing_on_standard_output(tmp_path):
    done = shell("2>&-", "run", "quickstart", "--json", "--out", str(tmp_path))
    assert done.returncode == 0
    assert done.stdout.startswith('{"schema": 1')


def test_the_version_is_the_packages():
    done = subprocess.run([*BINARY, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"cl-engine {cl_engine.__version__}\n", "")


def test_a_command_is_one_file_and_the_help_names_them_all():
    commands = {
        "run",
        "sweep",
        "report",
        "runs",
        "compare",
        "check",
        "preview",
        "budget",
        "list",
        "schema",
        "cache",
        "data",
        "features",
        "compatibility",
        "unlearn",
        "merge",
        "doctor",
    }
    pieces = {"__init__", "app", "options", "requirements", "status"}
    folder = Path(cl_engine.__file__).parent / "cli"
    assert {file.stem for file in folder.glob("*.py")} == commands | pieces
    shown = subprocess.run([*BINARY, "--help"], capture_output=True, text=True).stdout
    assert all(f"\n  {command} " in shown for command in commands)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("folder", None),
        ("deep.yaml", "data: " + "[" * 5000),
        ("closed.yaml", "data: " + "[" * 500 + "]" * 500),
        ("deep.json", '{"data":' * 5000),
        ("x" * 5000, ...),
        ("x/" * 500, ...),
    ],
    ids=["folder", "deep yaml", "closed yaml", "deep json", "long name", "long path"],
)
def test_a_file_that_is_no_scenario_is_one_line(name, content, tmp_path):
    path = tmp_path / name
    if content is None:
        path.mkdir()
    elif content is not ...:
        path.write_text(content)
    done = subprocess.run([*BINARY, "check", str(path)], capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(str(path))


@pytest.mark.parametrize(
    "value", ["data=" + "[" * 20000, "a." * 30000 + "b=1", "x" * 50000], ids=["value", "key", "word"]
)
def test_a_set_option_beyond_reason_is_one_line(value):
    done = subprocess.run([*BINARY, "check", "quickstart", "--set", value], capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert len(line) < 300


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "scenario",
    [None, 3, b"x", ["a"], (), object(), nested(100_000), {1: 2, "data": "digits", "strategy": "ncm"},
     {"data": nested(100_000), "strategy": "ncm"}, {"data": "digits", "strategy": "ncm", "name": nested(100_000)},
     {"data": "digits", "strategy": {"kind": "finetune", "backbone": nested(100_000)}}],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_scenario_at_all_is_a_config_error_of_one_line(scenario):
    with pytest.raises(ConfigError) as raised:
        cl_engine.run(scenario)
    assert "\n" not in str(raised.value)
