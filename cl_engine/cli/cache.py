"""``cl-engine cache``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cl_engine.cli.options import Json
from cl_engine.cli.runs import age
from cl_engine.errors import InputError

if TYPE_CHECKING:
    from cl_engine.data.cache import Entry

DAY = 86400  # seconds

cache = typer.Typer(help="What is kept between runs: decoded pictures, features; list it, or clear it.")


@cache.command("list")
def list_entries(as_json: Json = False) -> None:
    """List what is in the cache: what it was made of, its size on the disk, when it was last used."""
    from cl_engine.data.cache import entries, place
    from cl_engine.kinds.problems import one_line
    from cl_engine.reports.text import aligned, size

    found = [_facts(entry) for entry in entries()]
    if as_json:
        print(json.dumps({"place": str(place()), "entries": found}))
        return
    print(f"{place()}: {size(sum(row['bytes'] for row in found))}")
    if found:
        table = [("key", "what", "rows", "size", "last used", "")]
        for row in found:
            rows, state = f"{row['rows'] or 0:,}", "" if row["complete"] else "not finished"
            last = age(row["age_seconds"])
            table.append((row["key"], one_line(row["what"] or "?"), rows, size(row["bytes"]), last, state))
        print(aligned(table))


@cache.command("clear")
def clear(
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY]...", help="Keys, or how they begin, as `list` shows them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything, without being asked.")] = False,
    older_than: Annotated[
        float | None, typer.Option(metavar="DAYS", min=0, help="Only what was last used more than so long ago.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Remove what is in the cache, unless a process uses it; it is made again when it is needed."""
    from cl_engine.data.cache import clear as remove
    from cl_engine.data.cache import entries
    from cl_engine.reports.text import size

    if not keys and not everything and older_than is None:
        raise InputError("cache clear: nothing named; allowed: keys as `cl-engine cache list` shows them, --all")
    if keys and everything:
        raise InputError(f"cache clear: got --all and {keys[0]!r}; allowed: one of them")
    chosen = _named(entries(), keys) if keys else entries()
    if older_than is not None:
        chosen = [entry for entry in chosen if entry.age > older_than * DAY]
    removed: dict[bool, list[Entry]] = {True: [], False: []}
    for entry in chosen:
        removed[remove(entry.key)].append(entry)
    freed = sum(entry.bytes for entry in removed[True])
    if as_json:
        cleared, in_use = ([entry.key for entry in removed[done]] for done in (True, False))
        print(json.dumps({"cleared": cleared, "in_use": in_use, "bytes": freed}))
        return
    print(f"cleared {len(removed[True])} of {len(chosen)}: {size(freed)}")
    for entry in removed[False]:
        print(f"left: {entry.key} is in use")


def _named(found: list[Entry], keys: list[str]) -> list[Entry]:
    """Return the entries whose keys begin so, each once."""
    chosen: dict[str, Entry] = {}
    for key in keys:
        matches = [entry for entry in found if key and entry.key.startswith(key)]
        if not matches:
            known = ", ".join(entry.key for entry in found[:5]) or "nothing, as the cache is empty"
            raise InputError(f"cache clear: there is no key {key!r}; allowed: {known}")
        chosen.update((entry.key, entry) for entry in matches)
    return list(chosen.values())


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        "key": entry.key,
        "what": entry.about.get("what"),
        "rows": entry.about.get("rows"),
        "bytes": entry.bytes,
        "complete": entry.about.get("complete") is True,
        "age_seconds": entry.age,
    }
