"""``cl-engine doctor``."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

import cl_engine
from cl_engine.cli.options import Json


def doctor(
    limit: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long importing an extra may take.")
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Say what works on this machine, with the command that repairs what does not; status 1 where the core fails.

    The core works where every package of it can be imported and a small run trains to its end.
    """
    from cl_engine.cli.requirements import tried

    rows = tried(limit)
    why, seconds = _first_run()
    found = {
        "works": why is None and all(row.state == "works" for row in rows if not row.extra),
        "version": cl_engine.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "first_run": {"why": why, "seconds": seconds},
        "packages": [row._asdict() for row in rows if not row.extra],
        "extras": [row._asdict() for row in rows if row.extra],
        **_hardware(),
        "folders": _folders(),
    }
    print(json.dumps(found) if as_json else _in_words(found))
    raise typer.Exit(0 if found["works"] else 1)


def _first_run() -> tuple[str | None, float]:
    """Train a small strategy where a run would; return why that fails, or None, and the seconds it took."""
    from cl_engine.cli.requirements import reason

    scenario = {
        "data": {"kind": "gaussian", "classes": 4},
        "stream": {"step": 2},
        "strategy": "replay",
        "training": {"epochs": 1},
    }
    begun = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
            cl_engine.run(scenario, out=folder)
    except Exception as error:
        return reason(f"{type(error).__name__}: {error}"), time.perf_counter() - begun
    return None, time.perf_counter() - begun


def _hardware() -> dict[str, Any]:
    """Return the devices that torch sees, by name and bytes of memory, and the threads that it takes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    asked = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ}
    devices: list[dict[str, Any]] = [{"device": "cpu", "name": platform.machine(), "bytes": None}]
    threads = None
    with contextlib.suppress(Exception):  # that torch is broken has been told
        import torch

        threads = torch.get_num_threads()
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            devices.append({"device": f"cuda:{number}", "name": facts.name, "bytes": facts.total_memory})
    return {"devices": devices, "threads": {"cores": cores, "torch": threads, "environment": asked}}


def _folders() -> list[dict[str, Any]]:
    """Return the folders that are written: what is in them, what is free, what to do where they cannot be."""
    from cl_engine.data.cache import PLACE, place

    found = [_folder("cache", place(), f"export {PLACE}=FOLDER")]
    with contextlib.suppress(ImportError):  # that NumPy is broken has been told
        from cl_engine.data.official import VARIABLE, data_folder

        found.append(_folder("data", data_folder(), f"export {VARIABLE}=FOLDER"))
    return [*found, _folder("runs", Path("runs").absolute(), "cl-engine run FILE --out FOLDER")]


def _folder(name: str, path: Path, repair: str) -> dict[str, Any]:
    near = next(folder for folder in (path, *path.parents) if folder.exists())
    writable = near.is_dir() and os.access(near, os.W_OK | os.X_OK)
    return {
        "folder": name,
        "path": str(path),
        "bytes": sum(file.lstat().st_size for file in path.rglob("*") if file.is_file()),
        "free_bytes": shutil.disk_usage(near).free,
        "writable": writable,
        "repair": None if writable else repair,
    }


def _in_words(found: dict[str, Any]) -> str:
    from cl_engine.reports.text import aligned, size

    run, threads = found["first_run"], found["threads"]
    ended = f"fails: {run['why']}" if run["why"] else f"took {run['seconds']:.1f} s"
    asked = "".join(f", {name}={value}" for name, value in threads["environment"].items())
    parts = [("extra", "package", "version", "state")]
    for row in [*found["packages"], *found["extras"]]:
        state = f"{row['state']}: {row['why']}" if row["why"] else row["state"]
        parts.append((row["extra"] or "-", row["package"], row["version"] or "-", state))
    devices = [("device", "name", "memory")]
    devices += [(d["device"], d["name"], size(d["bytes"]) if d["bytes"] else "-") for d in found["devices"]]
    folders = [("folder", "path", "holds", "free", "")]
    for row in found["folders"]:
        state = "" if row["writable"] else "cannot be written"
        folders.append((row["folder"], row["path"], size(row["bytes"]), size(row["free_bytes"]), state))
    lines = [
        f"cl-engine {found['version']}, Python {found['python']}, {found['system']}",
        f"the core {'works' if found['works'] else 'does not work'}; a small run {ended}",
        *(f"\n{aligned(table)}" for table in (parts, devices, folders)),
        f"\nthreads: torch takes {threads['torch'] or '-'} of {threads['cores']} cores{asked}",
    ]
    for heading, absent in (("to repair what does not work", False), ("to add what is not here", True)):
        rows = [row for row in [*found["packages"], *found["extras"], *found["folders"]] if row["repair"]]
        chosen = [row["repair"] for row in rows if (row.get("state") == "absent" and bool(row["extra"])) is absent]
        if chosen:
            lines.append(f"\n{heading}:\n" + "\n".join(f"  {line}" for line in dict.fromkeys(chosen)))
    return "\n".join(lines)
