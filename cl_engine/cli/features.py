"""``cl-engine features``."""

from __future__ import annotations

import contextlib
import json
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from cl_engine.cli.options import File, Json, Set, load_scenario


class Dtype(str, Enum):
    """How features are written."""

    float32 = "float32"
    float16 = "float16"


def features(
    file: File,
    overrides: Set = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FEATURES", help="Write them for `data: {kind: features, path: ...}`: .safetensors or .npz."
        ),
    ] = None,
    dtype: Annotated[Dtype, typer.Option(help="Of the file that is written.")] = Dtype.float32,
    as_json: Json = False,
) -> None:
    """Compute the features of a scenario with `data: {kind: frozen, ...}` beforehand, once for all runs."""
    from cl_engine.errors import InputError
    from cl_engine.models.frozen import Frozen
    from cl_engine.models.frozen_file import write_features
    from cl_engine.running.store import writing

    scenario = load_scenario(file, overrides)
    if not isinstance(scenario.source, Frozen):
        kind = scenario.data["kind"]
        raise InputError(f"{file}: data is of kind {kind!r}; allowed: frozen, of which features can be computed")
    with contextlib.redirect_stdout(sys.stderr):
        found = scenario.source.load()
    facts = {
        "train": list(found.train.x.shape),
        "test": list(found.test.x.shape),
        "identity": scenario.source.identity(),
        "file": None if out is None else str(out),
    }
    if out is not None:
        with writing(out):
            write_features(found, out, dtype.value)
    if as_json:
        print(json.dumps(facts))
        return
    shape = found.train.x.shape
    print(f"{len(found.train):,} training and {len(found.test):,} test samples of {shape[1]} features")
    print(out or f"in the cache, {scenario.source.identity()[:12]}")
