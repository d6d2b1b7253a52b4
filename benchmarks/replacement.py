"""Old galleries through two replacements of the model: Gaussian classes, everything made here.

    python benchmarks/replacement.py [seeds]

20 classes in five experiences; models received before the first, third and fifth, trained on 10, 20 and 30 other
classes from other random weights; a gallery of 10 further classes.  Prints the mean over seeds of the last model's
top-1 in each gallery, and of AA and AC.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import cl_engine
from cl_engine.data.gaussian import Gaussian

SIMPLEX = {"reserved": 64, "vertices": "last"}
STRATEGIES: dict[str, dict[str, Any]] = {
    "hoc": SIMPLEX,
    "cl2r": SIMPLEX,
    "bct": {},
    "bct-ract": {"kind": "bct", "form": "ract"},
    "lce": {},
    "mixbct": {},
    "relative": {"count": 60},
    "fct": {"width": 128},
    "fct-fastfill": {"kind": "fct", "form": "fastfill", "width": 128},
    "er-ridge": {"kind": "er"},
    "er": {},
}
MAPS = {"er-ridge": {"map": "ridge", "pairs": 50}}  # closed form, on a quarter of the gallery


def archive(folder: Path, name: str, classes: range) -> dict[str, str]:
    """Write the samples of some classes; return the data section that names them."""
    data = Gaussian(classes=60, features=32, samples_per_class=40, separation=6.0).load()
    parts = {}
    for split, part in (("train", data.train), ("test", data.test)):
        chosen = np.isin(part.y.numpy(), classes)
        parts |= {f"x_{split}": part.x.numpy()[chosen], f"y_{split}": part.y.numpy()[chosen]}
    np.savez(folder / f"{name}.npz", **parts)
    return {"kind": "npz", "path": str(folder / f"{name}.npz")}


def elsewhere(folder: Path, kind: str, classes: int, seed: int) -> str:
    """Train a model on other classes; return its checkpoint."""
    simplex = {**SIMPLEX, "vertices": "first"} if STRATEGIES[kind] is SIMPLEX else {}
    run = cl_engine.run(
        {
            "name": f"{kind}-{classes}",
            "data": archive(folder, f"elsewhere-{classes}", range(30, 30 + classes)),
            "stream": {"kind": "class-incremental", "step": classes, "class_order": "natural"},
            "strategy": {"kind": kind if simplex else "er", "total": 1, **simplex},
            "training": {"epochs": 40},
            "seed": 100 * seed + classes,
        },
        out=folder,
    )
    assert run.directory is not None
    return str(run.directory / "checkpoint.safetensors")


def main() -> None:
    """Print a row for each strategy."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        data, gallery = archive(folder, "stream", range(20)), archive(folder, "gallery", range(20, 30))
        for kind, options in STRATEGIES.items():
            rows, metrics = [], []
            for seed in range(seeds):
                models = [elsewhere(folder, kind, classes, seed) for classes in (10, 20, 30)]
                found = cl_engine.run(
                    {
                        "data": data,
                        "stream": {"kind": "class-incremental", "step": 4},
                        "strategy": {"kind": kind, "per_class": 20, **options},
                        "training": {"epochs": 20},
                        "replace": [
                            {"at": at, "model": model} for at, model in zip((1, 3, 5), models, strict=True)
                        ],
                        "evaluate": {"compatibility": {"gallery": {"data": gallery}, **MAPS.get(kind, {})}},
                        "seed": seed,
                    }
                ).to_dict()["compatibility"]
                rows.append(found["matrix"][-1])
                metrics.append([found["average_cross_accuracy"], found["average_compatibility"]])
            means = [*np.mean(rows, 0), *np.mean(metrics, 0)]
            print(kind, *(f"{100 * mean:.1f}" for mean in means), sep="  ", flush=True)


if __name__ == "__main__":
    main()
