"""What renewing a gallery gives and costs: policies of a service over four models, Gaussian classes, made here.

    python benchmarks/service.py [seeds]
    python benchmarks/service.py --search [vectors]

20 classes in four experiences, each 1,000 s before the next; a gallery of 2,000 images of 10 further classes, 1,500
of them there at first; 4 images a second are embedded anew.  Prints means over seeds.

With ``--search`` it searches 1,000,000 x 512 float32 with 200 queries for their 10 nearest, in processes of their
own: without faiss and, where it is installed, with it; seconds, those of the processor, and the most memory.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

import cl_engine

DATA = {"kind": "gaussian", "features": 32, "samples_per_class": 200, "test_per_class": 40, "separation": 6.0}
GALLERY = {"data": {**DATA, "classes": 30}, "split": "train", "classes": [*range(20, 30)]}
TIMES = {"seconds": 1000.0, "look": 20.0, "initial": 0.75, "inserts": 0.5, "rate": 4.0}
FINISHED = {"switch": "when-finished"}
STRATEGIES: dict[str, dict[str, Any]] = {"hoc": {"reserved": 64}, "er": {}}
POLICIES: dict[str, dict[str, Any]] = {
    "keep": {"policy": "keep"},
    "never": {"policy": "never"},
    "transform, ridge": {"policy": "transform", "map": "ridge", **FINISHED},
    "transform, procrustes": {"policy": "transform", "map": "procrustes", **FINISHED},
    "backfill, immediately": {},
    "backfill, immediately, by distance": {"order": "distance"},
    "backfill, immediately, by popularity": {"order": "popularity"},
    "lazy, a query in two seconds": {"policy": "lazy", "traffic": 0.5},
    "backfill, when finished": FINISHED,
    "backfill, ridge, when mapped": {"map": "ridge", **FINISHED},
    "the same, by sigma": {"map": "ridge", "order": "sigma", **FINISHED},
}


def search(vectors: int, by_faiss: bool) -> None:
    """Search once, and print what it took."""
    import torch

    from cl_engine.metrics import nearest

    if not by_faiss:
        nearest.MANY = vectors + 1
    generator = torch.Generator().manual_seed(0)
    gallery = torch.empty(vectors, 512)
    for part in gallery.split(65536):
        part.normal_(generator=generator)
    queries = torch.randn(200, 512, generator=generator)
    began, busy = time.perf_counter(), time.process_time()
    found = nearest.search(queries, gallery, k=10)
    took, busy = time.perf_counter() - began, time.process_time() - busy
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    how = "faiss" if by_faiss else "without faiss"
    print(f"{vectors:,} x 512, {how}: {took:.1f} s ({busy:.1f} s of processor), {most:.2f} GiB at most,", end=" ")
    print(f"rows sum to {int(found.indices.sum())}", flush=True)


def searches(vectors: int) -> None:
    """Search with and without faiss, each in a process of its own."""
    from cl_engine.metrics.by_faiss import faiss_is_there

    for how in ("0", "1")[: 1 + faiss_is_there()]:
        subprocess.run([sys.executable, __file__, "--once", str(vectors), how], check=True)


def main() -> None:
    """Print a row for each strategy and policy."""
    if sys.argv[1:2] == ["--once"]:
        return search(int(sys.argv[2]), sys.argv[3] == "1")
    if sys.argv[1:2] == ["--search"]:
        return searches(int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for kind, options in STRATEGIES.items():
        for name, policy in POLICIES.items():
            found = [
                cl_engine.run(
                    {
                        "data": {**DATA, "classes": 20},
                        "stream": {"kind": "class-incremental", "first": 8, "step": 4, "class_order": "natural"},
                        "strategy": {"kind": kind, "per_class": 20, **options},
                        "training": {"epochs": 20},
                        "service": {"gallery": GALLERY, "queries": {"split": "test"}, **TIMES, **policy},
                        "seed": seed,
                    }
                ).to_dict()["service"]
                for seed in range(seeds)
            ]
            accuracy, fresh, images, flops, stored = (
                np.mean([run[key] for run in found])
                for key in (
                    "mean_accuracy",
                    "mean_accuracy_if_renewed_at_once",
                    "re_embedded",
                    "renewal_flops",
                    "max_vector_bytes",
                )
            )
            flips = np.mean([flip for run in found for flip in run["negative_flips"] if flip is not None] or [0])
            row = f"{100 * accuracy:.1f}  {100 * fresh:.1f}  {images:.0f}  {flops / 1e6:.0f} MFLOP"
            print(f"{kind}, {name}: {row}  {stored / 1000:.0f} kB  flips {100 * flips:.0f} %", flush=True)


if __name__ == "__main__":
    main()
