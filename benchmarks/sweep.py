"""What a sweep adds to its cells, and what a second process gains.

python benchmarks/sweep.py
"""

import tempfile
import time
from pathlib import Path

import torch

import cl_engine

SMALL = {"data": {"kind": "gaussian", "classes": 4}, "stream": {"step": 2}, "strategy": "ncm"}
LONGER = {
    "data": {"kind": "gaussian", "classes": 10, "features": 64, "samples_per_class": 1000},
    "stream": {"step": 2},
    "strategy": "finetune",
    "training": {"epochs": 12},
}


def seconds(scenario, seeds, workers):
    """Return wall seconds of a sweep, and the sum of what its runs took by themselves."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        results = cl_engine.sweep({**scenario, "sweep": {"seeds": seeds}}, out=folder, workers=workers)
        wall = time.perf_counter() - begun
        assert len([*Path(folder).glob("*/*/result.json")]) == seeds
        return wall, results.frame()["seconds_total"].sum()


def main():
    torch.set_num_threads(1)
    few, many = (seconds(SMALL, n, 1) for n in (10, 110))
    own = ((many[0] - few[0]) - (many[1] - few[1])) / 100
    print(f"small cells: {own:.3f} s beside what each takes itself, {few[0] - 10 * own:.1f} s to start")
    one, two = (seconds(LONGER, 12, workers) for workers in (1, 2))
    share = (one[0] - one[1]) / one[0]
    print(f"cells of {one[1] / 12:.1f} s: {100 * share:.0f} % of the time is not theirs, the start included")
    print(f"two workers: {one[0] / two[0]:.2f} times the throughput of one")


if __name__ == "__main__":
    main()
