"""The scenario files and the recipes that come with the package, known by name from anywhere."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
RECIPES = FOLDER / "recipes"


def shipped(folder: Path = FOLDER) -> dict[str, str]:
    """Return the shipped scenarios, or recipes, by name, each with the first comment line of its file."""
    found = {}
    for file in sorted(folder.glob("*.yaml"), key=lambda file: file.stem):
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        found[file.stem] = first.removeprefix("#").strip()
    return found


def find(name: str) -> Path:
    """Return the file that ``name`` means: a path, or else the name of a shipped scenario.

    A folder of that name, such as the results of a sweep, is in nobody's way.  A name that is neither is returned
    as a path, for the reader to report.
    """
    known = {file.stem: file for file in FOLDER.glob("*.yaml")}
    return known[name] if name in known and not Path(name).is_file() else Path(name)
