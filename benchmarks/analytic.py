"""The closed-form learners against scikit-learn, against the published update line, and by their two backends.

    OMP_NUM_THREADS=1 python benchmarks/analytic.py [stream|update|queries|million]

CPU seconds of one process and one thread; peers take turns, and the least of several rounds counts.  `stream`:
ten experiences of 2,000 samples, 100 classes, with a solution after each, against one joint Ridge fit on the
same features, float64; and the whole run by the engine, data given, ten evaluations of up to 2,000 test samples
included.  `update`: the recursion on 64 and 1,024 samples against R - R X'(I + X R X')^-1 X R from left to
right.  `queries`: how many samples between two queries make both backends cost the same, as a part of the width.
`million`: a run of g-acil over 1,000,000 x 512 samples of 1,000 classes, wall time and peak memory.
"""

import itertools
import resource
import sys
import time

import numpy as np
import torch
from sklearn.linear_model import Ridge

import cl_engine
from cl_engine.data.samples import DataSet, Samples
from cl_engine.statistics.sufficient import Recursion, Sums

GAMMA, CLASSES = 0.1, 100


def features(samples, width):
    generator = torch.Generator().manual_seed(width)
    x = torch.randn(samples, width, dtype=torch.float64, generator=generator).relu_()
    return x, torch.arange(samples) * CLASSES // samples


def seconds(call):
    begun = time.process_time()
    call()
    return time.process_time() - begun


def least(rounds, *calls):
    return [min(column) for column in zip(*([seconds(c) for c in calls] for _ in range(rounds)), strict=True)]


def stream():
    for width in (512, 1024, 2048):
        x, y = features(20_000, width)
        onehot = np.eye(CLASSES)[y.numpy()]

        def ours(x=x, y=y, width=width):
            sums = Sums.empty(width)
            for start in range(0, len(x), 2000):
                part = slice(start, start + 2000)
                sums.grow(int(y[part].max()) + 1)
                sums.add(x[part], y[part])
                found = sums.weights(GAMMA)
            return found.weights

        def theirs(x=x, onehot=onehot):
            return Ridge(alpha=GAMMA, fit_intercept=False, solver="cholesky").fit(x.numpy(), onehot).coef_.T

        single = x.float()
        scenario = {
            "data": DataSet(Samples(single, y), Samples(single[::10], y[::10])),
            "stream": {"step": CLASSES // 10},
            "strategy": {"kind": "g-acil", "width": 0, "gamma": GAMMA},
        }
        mine, peer, run = least(5, ours, theirs, lambda scenario=scenario: cl_engine.run(scenario))
        apart = np.linalg.norm(ours().numpy() - theirs()) / np.linalg.norm(theirs())
        print(
            f"d = {width}: ten experiences, ten solutions {mine:.2f} s, Ridge {peer:.2f} s: {mine / peer:.2f}; "
            f"the whole run, ten evaluations {run:.2f} s: {run / peer:.2f}",
            end="",
        )
        print(f"; weights differ by {apart:.0e}", flush=True)


def update():
    for width, batch in itertools.product((512, 2048, 8192), (64, 1024)):
        x, y = features(batch, width)
        learner, onehot = Recursion.empty(width, GAMMA), torch.nn.functional.one_hot(y, CLASSES).double()
        learner.grow(CLASSES)
        r, w = torch.eye(width, dtype=torch.float64) / GAMMA, torch.zeros(width, CLASSES, dtype=torch.float64)
        sums = Sums.empty(width, CLASSES)

        def published(x=x, r=r, w=w, onehot=onehot):
            core = torch.inverse(torch.eye(len(x), dtype=torch.float64) + x @ r @ x.T)
            after = r - r @ x.T @ core @ x @ r
            return w + after @ x.T @ (onehot - x @ w)

        gram = x.T @ x
        gram.diagonal().add_(GAMMA)
        exact = torch.linalg.solve(gram, x.T @ onehot)
        learner.update(x, y)
        errors = [
            float(torch.linalg.norm(found - exact) / torch.linalg.norm(exact))
            for found in (published(), learner.solution.T)
        ]
        recursion, accumulate, peer = least(
            1 if width > 4096 else 5,
            lambda x=x, y=y, learner=learner: learner.update(x, y),
            lambda x=x, y=y, sums=sums: sums.add(x, y),
            published,
        )
        print(
            f"d = {width}, b = {batch}: published line {1e3 * peer:.0f} ms, recursion {1e3 * recursion:.1f} ms: "
            f"{peer / recursion:.1f} times faster; sums {1e3 * accumulate:.1f} ms: {peer / accumulate:.0f} times; "
            f"error of the first update {errors[0]:.0e}, and {errors[1]:.0e}",
            flush=True,
        )


def queries():
    for width in (256, 512, 1024, 2048):
        for batch in (10, 64):
            x, y = features(batch, width)
            learner, sums = Recursion.empty(width, GAMMA), Sums.empty(width, CLASSES)
            learner.grow(CLASSES)
            sums.add(*features(4 * width, width))
            recursion, accumulate, query = least(
                7,
                lambda x=x, y=y, learner=learner: learner.update(x, y),
                lambda x=x, y=y, sums=sums: sums.add(x, y),
                lambda sums=sums: sums.weights(GAMMA),
            )
            between = query / (recursion - accumulate) * batch
            print(
                f"d = {width}, b = {batch}: even at {between:.0f} samples a query, d / {width / between:.1f}",
                flush=True,
            )


def million():
    data = {"kind": "gaussian", "classes": 1000, "features": 512, "samples_per_class": 1000, "test_per_class": 10}
    for part in (250, 500, 1000):
        begun = time.perf_counter()
        record = cl_engine.run(
            {
                "data": {**data, "samples_per_class": part},
                "stream": {"step": 100},
                "strategy": {"kind": "g-acil", "width": 0},
            }
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{part * 1000:,} samples: {time.perf_counter() - begun:.0f} s, {record.metrics['last_accuracy']:.3f}, "
            f"peak {peak:.2f} GiB",
            flush=True,
        )


def main():
    torch.set_num_threads(1)
    parts = {"stream": stream, "update": update, "queries": queries, "million": million}
    for name in sys.argv[1:] or ["stream", "update", "queries"]:
        parts[name]()


if __name__ == "__main__":
    main()
