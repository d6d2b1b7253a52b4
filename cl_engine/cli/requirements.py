"""What the package and its extras ask for, tried on this machine."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from cl_engine.kinds.problems import one_line

TOOLS = ("test", "dev", "docs")  # extras of those who develop the package
MODULES = {
    "avalanche-lib": "avalanche.training",
    "pillow": "PIL",
    "pyarrow": "pyarrow.parquet",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "typing-extensions": "typing_extensions",
    "vl-convert-python": "vl_convert",
}  # of packages that are not imported by their own name
WITH_TORCHVISION = ("avalanche", "timm", "vision")  # extras that bring it, which must be of torch's own build
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
# A module of that name in the current folder is not the package; a console script does not look there either.
IMPORT = "import sys; sys.path[:] = [p for p in sys.path if p]; __import__(sys.argv[1])"
LONGEST = 200  # characters of a reason


class Requirement(NamedTuple):
    """A package that is asked for: by which extra ("" for the core), and its oldest version."""

    extra: str
    package: str
    least: str


class Tried(NamedTuple):
    """What became of a requirement.

    Attributes:
        extra: which extra asks for it; empty for the core.
        package: its name.
        version: that which is there, or None.
        state: ``works``, ``absent``, ``old`` or ``broken``.
        why: the reason in one line, or None.
        repair: the command that installs or repairs it, or None.
    """

    extra: str
    package: str
    version: str | None
    state: str
    why: str | None
    repair: str | None


def requirements() -> list[Requirement]:
    """Return what the installed package asks for, without its developers' tools; nothing if it is not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        pattern = r"""([\w.-]+)(?:>=([\w.]+))?(?:; extra == ["']([\w-]+)["'])?"""
        lines = importlib.metadata.requires("cl-engine") or []
        found = [match.groups("") for line in lines if (match := re.fullmatch(pattern, line))]
        return [Requirement(extra, package, least) for package, least, extra in found if extra not in TOOLS]
    return []


def tried(limit: float) -> list[Tried]:
    """Import every requirement, those of the extras each in a process of its own, for at most ``limit`` seconds."""
    asked = requirements()
    core = [_tried(one, limit) for one in asked if not one.extra]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the threads only wait
        return [*core, *pool.map(lambda one: _tried(one, limit), (one for one in asked if one.extra))]


def _tried(one: Requirement, limit: float) -> Tried:
    version = _version(one.package)
    if version is None:
        return Tried(one.extra, one.package, version, "absent", None, _install(one))
    if _numbers(version) < _numbers(one.least):
        return Tried(one.extra, one.package, version, "old", f"at least {one.least} is needed", _install(one))
    module = MODULES.get(one.package, one.package)
    why = _imported_apart(module, limit) if one.extra else _imported(module)
    state, repair = ("broken", _repair(one, why)) if why else ("works", None)
    return Tried(one.extra, one.package, version, state, why, repair)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version.partition("+")[0])]


def _imported(module: str) -> str | None:
    """Import a module here; return why that fails, or None."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it may print
            importlib.import_module(module)
    except Exception as error:
        return reason(f"{type(error).__name__}: {error}")
    return None


def _imported_apart(module: str, limit: float) -> str | None:
    """Import a module elsewhere, where it may hang, crash and print; return why that fails, or None."""
    command = [sys.executable, "-c", IMPORT, module]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=limit)
    except subprocess.TimeoutExpired:
        return f"importing it takes more than {limit:g} s"
    if done.returncode < 0:
        return f"importing it ends the process by signal {-done.returncode}"
    lines = done.stderr.strip().splitlines()
    return reason(lines[-1] if lines else f"exit status {done.returncode}") if done.returncode else None


def reason(text: str) -> str:
    """Return why something fails in one line, cut where it is long."""
    words = one_line(text)
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def _install(one: Requirement) -> str:
    """Return the command that installs a requirement, or what it still lacks."""
    if not one.extra:
        return f"pip install '{one.package}>={one.least}'"
    wheels = f" --extra-index-url {CPU_WHEELS}" if one.extra in WITH_TORCHVISION and _torch_is_cpu_only() else ""
    return f"pip install 'cl-engine[{one.extra}]'{wheels}"


def _repair(one: Requirement, why: str) -> str:
    """Return the command that repairs what is installed and cannot be imported."""
    if "No module named 'distutils'" in why:  # gone from Python 3.12 on; setuptools brings it
        return "pip install setuptools"
    if "No module named" in why:
        return _install(one)
    if "torchvision" in why:  # of another build or release than torch is; 0.15 came with torch 2.0
        major, minor, *_ = [*_numbers(_version("torch") or ""), 0, 0]
        release = f"'torchvision==0.{minor + 15}.*'" if major == 2 else "torchvision"
        wheels = f" --index-url {CPU_WHEELS}" if _torch_is_cpu_only() else ""
        return f"pip install --force-reinstall --no-deps {release}{wheels}"
    return f"pip install --force-reinstall --no-deps '{one.package}>={one.least}'"


def _torch_is_cpu_only() -> bool:
    return (_version("torch") or "").endswith("+cpu")
