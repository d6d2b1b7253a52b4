"""Runs over shards of one stream, added up to the run over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cl_engine.errors import InputError
from cl_engine.running.derived import Derived, Finished, derived_scenario, finished
from cl_engine.running.record import RunRecord

MERGED = "merged"
ALLOWED = "allowed: runs of one scenario that differ in stream.shard alone"


def merge_runs(*runs: str | Path, out: str | Path | None = None) -> RunRecord:
    """Add finished runs over different shards of a stream; write what one run over all would have ended with.

    Args:
        runs: directories of finished runs of one scenario, two or more, with different parts of ``stream.shard``;
            they stay as they are.
        out: folder for the new run; None: that of the first one.

    Raises:
        ConfigError: a run's configuration does not fit its data.
        StoreError: a run is not finished or damaged, or its data has changed.
        InputError: the runs are of different scenarios or data, have a shard in common, or their strategy cannot be
            merged exactly; the line says which.
    """
    if len(runs) < 2:
        raise InputError(f"got {len(runs)} run; allowed: two or more to merge")
    first, *others = found = [finished(Path(run)) for run in runs]
    for other in others:
        _check_same(first, other)
    scenario = derived_scenario(first.scenario, MERGED, **{"stream.shard": _together(found)})
    merged = first.numbered_as(scenario)
    for other in others:
        merged.merge(other.numbered_as(scenario))
    facts = {"from": [run.named for run in found]}
    folder = first.path.parent if out is None else Path(out)
    return Derived(scenario, merged).write(folder, MERGED, facts)


def _together(runs: Sequence[Finished]) -> dict[str, Any] | None:
    """Return the shards that any run saw; None where that is all of them."""
    owner: dict[int, Path] = {}
    for run in runs:
        shard = run.scenario.stream["shard"]
        if shard is None:
            raise InputError(f"{run.path}: its stream is no shard, so nothing can be added to it; {ALLOWED}")
        for part in shard["parts"]:
            if part in owner:
                raise InputError(f"{run.path}: saw shard {part}, as {owner[part]} did; allowed: each shard once")
            owner[part] = run.path
    of = runs[0].scenario.stream["shard"]["of"]
    return None if len(owner) == of else {"of": of, "parts": sorted(owner)}


def _check_same(first: Finished, other: Finished) -> None:
    one, two = (dict(_flat(run.scenario.to_dict())) for run in (first, other))
    for key in dict.fromkeys([*one, *two]):
        if key not in ("name", "stream.shard.parts") and one.get(key) != two.get(key):
            raise InputError(f"{other.path}: its {key} is not that of {first.path}; {ALLOWED}")
    for key in ("data", "code"):
        if first.scenario.identity[key] != other.scenario.identity[key]:
            raise InputError(f"{other.path}: its {key} differs from that of {first.path}; {ALLOWED}")


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
