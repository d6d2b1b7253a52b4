"""Time and memory of planning a stream, against the number of samples, for each family.

    python benchmarks/streams.py [--classes 1000] [--largest 10000000]

Each plan is made in a process of its own, so that the peak memory is its own.  The growth rate is the exponent
between the two largest sizes: 1.0 is proportional to the samples.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time

FAMILIES = {
    "class-incremental": {"step": 10},
    "domain-incremental": {"experiences": 5, "samples": "split"},
    "data-incremental": {"experiences": 100},
    "blurry": {"experiences": 100},
    "i-blurry": {"experiences": 100},
    "si-blurry": {"experiences": 100},
    "gcil": {"experiences": 100, "max_classes": 100},
    "repetition-slots": {"experiences": 100, "classes_per_experience": 500},
    "repetition-sampled": {"experiences": 100, "first_occurrence": "uniform"},
    "linear-decay": {"tasks": 100, "experiences": 1000},
    "gaussian-schedule": {"experiences": 200},
    "few-shot": {"base": 600, "ways": 5},
}


def plan(family, samples, classes):
    """Make one plan; print seconds and peak mebibytes."""
    import numpy as np
    import torch  # noqa: F401 - Si-Blurry draws with it; its import is not what is measured

    from cl_engine.kinds.registry import load

    targets = np.random.RandomState(0).permutation(np.arange(samples) % classes)
    options = FAMILIES[family]
    if family in ("gcil", "repetition-sampled"):
        options = {**options, "size": samples // 100}
    make = load("streams", family)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begun = time.perf_counter()
    make(targets, **options)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([seconds, peak - before]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--largest", type=int, default=10**7)
    parser.add_argument("--one", nargs=2)
    given = parser.parse_args()
    if given.one:
        plan(given.one[0], int(given.one[1]), given.classes)
        return
    sizes = [given.largest // 100, given.largest // 10, given.largest]
    heading = "".join(f"{f'{n:,} samples':>24}" for n in sizes)
    print(f"{'family':20}{heading}{'time ~ n^':>12}{'memory, B/sample':>18}")
    for family in FAMILIES:
        row = []
        for n in sizes:
            command = [sys.executable, __file__, "--classes", str(given.classes), "--one", family, str(n)]
            row.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        growth = math.log10(row[-1][0] / row[-2][0])
        cells = "".join(f"{f'{s:.2f} s {m:,.0f} MiB':>24}" for s, m in row)
        print(f"{family:20}{cells}{growth:>12.2f}{row[-1][1] * 2**20 / sizes[-1]:>18.0f}", flush=True)


if __name__ == "__main__":
    main()
