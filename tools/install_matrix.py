"""Install wheel and sdist into empty environments, and try them there: a table over Pythons, torches and NumPys.

    python tools/install_matrix.py [--only TEXT] [--cpu-torch REQUIREMENT] [--tests PATH ...]

A cell is an environment of its own.  `oldest` has every package of the core at the lower bound of pyproject.toml,
`newest` at what pip finds; `cpu` has PyTorch's build without CUDA, `full` the one of the package index.  What is
tried: `cl-engine doctor` (imports everything, trains), the README's first run, a sweep with its page and figures;
with --tests also the tests of these paths.  An interpreter or a build that this machine lacks is "not here".
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
SWEEP = ["--set", 'sweep={"strategy": ["ncm", "replay"], "seed": [0, 1]}', "--set", "training.epochs=1"]


class Cell(NamedTuple):
    """One environment: which Python, which build of torch, which age of everything, which archive."""

    python: str
    torch: str
    age: str
    archive: str
    extra: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What `--only` looks into."""
        return " ".join([self.python, self.torch, self.age, self.archive, *self.extra])


CELLS = [
    Cell("3.10", "cpu", "oldest", "wheel"),
    Cell("3.10", "cpu", "newest", "wheel"),
    Cell("3.11", "cpu", "oldest", "wheel"),
    Cell("3.11", "cpu", "newest", "wheel"),
    Cell("3.11", "cpu", "newest", "sdist", ("numpy<2",)),
    Cell("3.12", "cpu", "newest", "wheel"),
    Cell("3.13", "cpu", "newest", "wheel"),
    Cell("3.10", "full", "oldest", "wheel"),
    Cell("3.13", "full", "newest", "wheel"),
]


class NotHere(Exception):
    """This machine cannot make the cell."""


def interpreter(version: str) -> str:
    """Return a working interpreter of that version, from the PATH or pyenv's folder."""
    folders = [*os.get_exec_path(), *map(str, sorted((Path.home() / ".pyenv" / "versions").glob("*/bin")))]
    for folder in folders:
        if found := shutil.which(f"python{version}", path=folder):
            asked = [found, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            if subprocess.run(asked, capture_output=True, text=True).stdout.strip() == version:
                return found
    raise NotHere(f"not here: Python {version}")


def oldest() -> list[str]:
    """Return every package of the core at its lower bound, but torch, as constraints."""
    section = (ROOT / "pyproject.toml").read_text().partition("\ndependencies = [")[2].partition("\n]")[0]
    bounds = re.findall(r'"([\w-]+)>=([\w.]+)"', section)
    return [f"{package}=={least}" for package, least in bounds]


def told(command: list[str], **options: object) -> str:
    """Run a command and return what it printed; its last line of trouble is the error."""
    done = subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
        worst = [line for line in lines if "rror" in line or "FAILED" in line]
        raise RuntimeError((worst or lines)[-1].strip()[:160])
    return str(done.stdout)


def install(cell: Cell, python: str, archive: Path, cpu_torch: str | None) -> None:
    """Install torch first, as a user without a GPU does, and then the archive."""
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    exact = oldest() if cell.age == "oldest" else []
    torch = next((pin for pin in exact if pin.startswith("torch==")), "torch")
    rest = [pin for pin in exact if pin != torch]
    if cell.torch == "cpu":
        try:
            wanted = [cpu_torch] if cpu_torch else [torch, "--index-url", CPU_WHEELS]
            told([*pip, "--only-binary", ":all:", *wanted])
        except RuntimeError:
            raise NotHere(f"not here: {cpu_torch or torch} without CUDA for Python {cell.python}") from None
        torch = ""
    told([*pip, *([torch] if torch else []), *rest, *cell.extra, str(archive)])


def tried(environment: Path, folder: Path, tests: list[str]) -> str:
    """Use what is installed; return the versions of torch and NumPy in one line."""
    command = str(environment / "bin" / "cl-engine")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    options = {"cwd": folder, "env": {**clean, "OMP_NUM_THREADS": "1"}}
    found = json.loads(told([command, "doctor", "--json"], **options))
    result = json.loads(told([command, "run", "quickstart", "--json"], **options))
    assert result["status"] == "done", result["status"]
    told([command, "sweep", "quickstart", *SWEEP, "--workers", "0", "--out", "sweep"], **options)
    told([command, "report", "sweep/quickstart", "--figures", "figures"], **options)
    assert [*(folder / "figures").glob("*.svg")], "no figures"
    if tests:
        python = str(environment / "bin" / "python")
        told([python, "-m", "pip", "install", "--quiet", *test_tools()], **options)
        told([python, "-m", "pytest", "-q", "-x", "-n", "0", *tests], **{**options, "cwd": ROOT})
    versions = {row["package"]: row["version"] for row in found["packages"]}
    return f"torch {versions['torch']}, numpy {versions['numpy']}"


def test_tools() -> list[str]:
    """Return what the `test` extra asks for."""
    (line,) = re.findall(r"^test = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.M)
    return re.findall(r'"([^"]+)"', line)


def made(cell: Cell, archives: dict[str, Path], cpu_torch: str | None, tests: list[str]) -> tuple[str, str]:
    """Return what a cell has and whether it works, and remove it again."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        has = "-"
        try:
            told([interpreter(cell.python), "-m", "venv", str(environment)])
            install(cell, str(environment / "bin" / "python"), archives[cell.archive], cpu_torch)
            has = tried(environment, Path(folder), tests)
        except NotHere as why:
            return has, str(why)
        except (RuntimeError, AssertionError) as error:
            return has, f"FAILED: {error}"
        return has, "works"


def main() -> int:
    """Build the archives, make the cells one after the other, print the table; status 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only cells whose name has this text in it, e.g. '3.11 cpu'")
    parser.add_argument(
        "--cpu-torch", help="torch of the cpu cells, e.g. torch==2.13.0+cpu; default: PyTorch's index"
    )
    parser.add_argument("--tests", nargs="*", default=[], help="tests to run in every cell, from the checkout")
    given = parser.parse_args()
    rows = [("cell", "has", "seconds", "result")]
    with tempfile.TemporaryDirectory() as folder:
        told([sys.executable, "-m", "build", "--outdir", folder, str(ROOT)])  # the wheel is made from the sdist
        archives = {"wheel": next(Path(folder).glob("*.whl")), "sdist": next(Path(folder).glob("*.tar.gz"))}
        for cell in (cell for cell in CELLS if given.only in cell.name):
            begun = time.perf_counter()
            has, result = made(cell, archives, given.cpu_torch, given.tests)
            rows.append((cell.name, has, f"{time.perf_counter() - begun:.0f}", result))
            print(*rows[-1], sep="; ", file=sys.stderr, flush=True)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print("\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows))
    return int(any(row[-1].startswith("FAILED") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
