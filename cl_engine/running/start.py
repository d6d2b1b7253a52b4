"""How a process of this package's own is started."""

from __future__ import annotations

import json
import sys
from pathlib import Path

# This package first, so that nothing beside a user's file stands in its place; then the parent's import path.
START = """
import importlib, json, sys
here, path, module, prepare, work = json.loads(sys.argv[1])
sys.path.insert(0, here)
found = importlib.import_module(module)
if prepare:
    getattr(found, prepare)()
sys.path[:] = path
getattr(found, work)()
"""
HERE = Path(__file__).parent.parent.parent


def command(module: str, work: str, prepare: str | None = None) -> list[str]:
    """Return the command line of a Python that calls ``work`` of a module of this package.

    Args:
        module: its full name.
        work: a function without arguments; runs with the import path of this process.
        prepare: another, called before with this package first on the import path.
    """
    path = [folder for folder in sys.path if folder]
    return [sys.executable, "-c", START, json.dumps([str(HERE), path, module, prepare, work])]
