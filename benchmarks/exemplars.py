"""Choosing exemplars: herding against the published loop, and updates with many classes.

    python benchmarks/exemplars.py

The peer is the loop of the released class-incremental codes: every pick re-sums the chosen vectors and forms the
distance of every candidate.
"""

import time

import numpy as np
import torch

from cl_engine.data.samples import Samples
from cl_engine.memory.codecs.raw import Raw
from cl_engine.memory.exemplars import Exemplars
from cl_engine.memory.exemplars.quota import Limits
from cl_engine.memory.exemplars.selection import herding


def published_loop(vectors, count):
    """Greedy herding as O(count x samples x width) array passes."""
    mean, chosen, picks = vectors.mean(0), [], []
    left, index = vectors.copy(), np.arange(len(vectors))
    for k in range(1, count + 1):
        total = np.sum(chosen, axis=0) if chosen else 0
        best = int(np.argmin(np.sqrt(((mean - (left + total) / k) ** 2).sum(1))))
        chosen.append(left[best])
        picks.append(int(index[best]))
        left, index = np.delete(left, best, axis=0), np.delete(index, best)
    return picks


def seconds(call):
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main():
    torch.set_num_threads(1)
    features = torch.randn(5000, 512, generator=torch.Generator().manual_seed(0)).relu()
    vectors = torch.nn.functional.normalize(features).numpy()
    pairs = [
        (seconds(lambda: herding(features, 500)), seconds(lambda: published_loop(vectors, 100))) for _ in range(3)
    ]
    ours, peer = (sorted(column)[1] for column in zip(*pairs, strict=True))
    print(f"herding 5,000 x 512, 500 picks: {ours:.2f} s; the published loop needs {peer:.2f} s for 100 picks")
    print(f"ratio per pick: {5 * peer / ours:.0f}")
    y = torch.randint(0, 10_000, (200_000,), generator=torch.Generator().manual_seed(0))
    samples = Samples(torch.zeros(len(y), 1), y)
    for selection in ("random", "class-balanced", "ring", "reservoir", "nearest-mean"):
        memory = Exemplars(selection, (1,), Raw())
        memory.grow(10_000)

        def update(memory=memory):
            memory.update(samples, Limits(total=50_000), torch.Generator().manual_seed(0), lambda x: x)

        print(f"{selection}: 200,000 samples of 10,000 classes into 50,000 slots: {seconds(update):.2f} s")


if __name__ == "__main__":
    main()
