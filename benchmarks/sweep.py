"""What a sweep adds to its cells, and what a second process and shared work gain.

python benchmarks/sweep.py
"""

import tempfile
import time

import torch

import cl_engine

SMALL = {"data": {"kind": "gaussian", "classes": 4}, "stream": {"step": 2}, "strategy": "ncm"}
LONGER = {
    "data": {"kind": "gaussian", "classes": 10, "features": 64, "samples_per_class": 1000},
    "stream": {"step": 2},
    "strategy": "finetune",
    "training": {"epochs": 12},
}


SMALL_NETWORK = {"kind": "mlp", "width": 32}
BUDGETS = {
    "data": "digits",
    "training": {"epochs": 20, "batch_size": 32},
    "sweep": {"memory.budget": {"range": ["48 KiB", "128 KiB"], "points": 5}},
}


def seconds(scenario, sweep, workers):
    """Return wall seconds of a sweep, and the sum of what its runs took by themselves."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        results = cl_engine.sweep({**scenario, "sweep": sweep}, out=folder, workers=workers)
        wall = time.perf_counter() - begun
        assert set(results.frame()["status"]) == {"done"}
        return wall, results.frame()["seconds_total"].sum()


def saving(strategy, stream):
    """Return CPU time of a sweep over five budgets without sharing, relative to that with it."""
    scenario = {**BUDGETS, "strategy": {"kind": strategy, "backbone": SMALL_NETWORK}, "stream": stream}
    took = []
    for share in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.process_time()
            cl_engine.sweep(scenario, out=folder, workers=0, share=share)
            took.append(time.process_time() - begun)
    return took[0] / took[1]


def main():
    torch.set_num_threads(1)
    few, many = (seconds(SMALL, {"seeds": n}, 1) for n in (10, 110))
    own = ((many[0] - few[0]) - (many[1] - few[1])) / 100
    print(f"small cells: {own:.3f} s beside what each takes itself, {few[0] - 10 * own:.1f} s to start")
    one, two = (seconds(LONGER, {"seeds": 12}, workers) for workers in (1, 2))
    share = (one[0] - one[1]) / one[0]
    print(f"cells of {one[1] / 12:.1f} s: {100 * share:.0f} % of the time is not theirs, the start included")
    print(f"two workers: {one[0] / two[0]:.2f} times the throughput of one")
    for strategy in ("finetune", "replay", "icarl"):
        savings = [f"{saving(strategy, {'first': first, 'step': 1}):.2f}" for first in (1, 5, 9)]
        print(
            f"{strategy}, five budgets, 1, 5 or 9 of 10 classes first: {', '.join(savings)} times faster by sharing"
        )


if __name__ == "__main__":
    main()
