"""Slopes for docs/scale.md: what one more cell, one more sample and one more class cost.

    OMP_NUM_THREADS=1 python benchmarks/extrapolation.py [cells|samples|classes]

CPU seconds of one process and one thread, bytes on the disk.  A row is a size; the last row of a part is the slope
between its two sizes.
"""

import sys
import tempfile
import time
from pathlib import Path

import torch

import cl_engine
from cl_engine.reports.page import page_of, write_page
from cl_engine.reports.results import read_results
from cl_engine.sweeping.cells import sweep_of

SMALL = {"kind": "gaussian", "features": 16, "samples_per_class": 10, "test_per_class": 2}


def timed(call):
    begun = time.process_time()
    found = call()
    return time.process_time() - begun, found


def bytes_in(folder, pattern="*"):
    return sum(file.stat().st_size for file in Path(folder).rglob(pattern) if file.is_file())


def page(folder):
    """Write the page of all runs in a sweep's folder, read before."""
    found = read_results(folder)
    return write_page(page_of(found, found.title, folder, ""), folder / "report.html", "auto")


def rows(heading, sizes, measured):
    """Print what is measured at each size, and the slopes."""
    print(f"{heading[0]:>12}" + "".join(f"{name:>22}" for name in heading[1:]))
    found = []
    for size in sizes:
        found.append(measured(size))
        print(f"{size:>12,}" + "".join(f"{value:>22,.4g}" for value in found[-1]), flush=True)
    per_one = [(b - a) / (sizes[-1] - sizes[-2]) for a, b in zip(*found[-2:], strict=True)]
    print(f"{'for one more':>12}" + "".join(f"{value:>22,.3g}" for value in per_one), flush=True)


def cells():
    """Planning, running, reading and reporting a sweep of runs that learn next to nothing."""

    def measured(number):
        scenario = {
            "data": {**SMALL, "classes": 4},
            "stream": {"step": 2},
            "strategy": "ncm",
            "sweep": {"strategy": ["ncm", {"kind": "replay", "total": 8}], "seeds": number // 2},
            "training": {"epochs": 1},
        }
        with tempfile.TemporaryDirectory() as folder:
            planned, _ = timed(lambda: sweep_of(scenario, []))
            ran, _ = timed(lambda: cl_engine.sweep(scenario, out=folder, workers=0))
            (own,) = Path(folder).iterdir()
            taken = bytes_in(own) / 1024
            read, frame = timed(lambda: cl_engine.load_results(own))
            assert len(frame) == number
            return planned, ran, read, timed(lambda: page(own))[0], taken

    rows(
        ("cells", "planning, s", "planned and run, s", "reading results, s", "its page, s", "on the disk, KiB"),
        (100, 500),
        measured,
    )


def samples():
    """Making Gaussian features and learning each of them once, closed form and by gradient steps."""
    for strategy, width in (
        ({"kind": "ncm"}, 64),
        ({"kind": "finetune", "backbone": {"kind": "mlp", "width": 64}}, 64),
        ({"kind": "ncm"}, 512),
        ({"kind": "g-acil", "width": 0}, 512),
    ):

        def measured(number, strategy=strategy, width=width):
            data = {**SMALL, "classes": 10, "features": width, "samples_per_class": number // 10}
            scenario = {"data": data, "stream": {"step": 2}, "strategy": strategy, "training": {"epochs": 1}}
            with tempfile.TemporaryDirectory() as folder:
                taken, record = timed(lambda: cl_engine.run(scenario, out=folder))
                return taken, record.memory["max_held_bytes"] / 1024, bytes_in(folder) / 1024

        print(f"{strategy['kind']}, {width} features")
        rows(("samples", "whole run, s", "held, KiB", "run directory, KiB"), (100_000, 400_000), measured)


def classes():
    """Ten experiences of ever more classes: 16 features, ten samples and two tests a class."""
    for kind, options in (("ncm", {}), ("g-acil", {"width": 64})):

        def measured(number, kind=kind, options=options):
            scenario = {
                "data": {**SMALL, "classes": number},
                "stream": {"step": number // 10},
                "strategy": {"kind": kind, **options},
            }
            with tempfile.TemporaryDirectory() as folder:
                taken, record = timed(lambda: cl_engine.run(scenario, out=folder))
                held = record.memory["max_held_bytes"] / 1024
                return taken, held, bytes_in(folder, "result.json") / 1024, bytes_in(folder) / 1024

        print(kind)
        heading = ["classes", "whole run, s", "held, KiB", "result.json, KiB", "run directory, KiB"]
        rows(heading, (2_000, 8_000), measured)


if __name__ == "__main__":
    torch.set_num_threads(1)
    cl_engine.run(
        {"data": SMALL, "strategy": "finetune", "training": {"epochs": 1}}
    )  # imports are not what is measured
    parts = {"cells": cells, "samples": samples, "classes": classes}
    for name in sys.argv[1:] or parts:
        parts[name]()
