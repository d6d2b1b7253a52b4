"""What features are worth that are simply stored: joint ridge on all of them, and on a quarter of each class.

    cl-engine features benchmarks/cifar100-analytic.yaml --set ... --out FEATURES.npz
    OMP_NUM_THREADS=1 python benchmarks/stored_features.py FEATURES.npz

The plain alternative to a closed-form learner's sums: keep the features themselves, as float16, and solve at the
end by scikit-learn's Ridge, on the features as they are and on as many random ones as `g-acil` draws.  Bytes are
those of the features stored; quarters are drawn for five seeds.
"""

import sys

import numpy as np
from sklearn.linear_model import Ridge

GAMMA, SEEDS = 0.1, 5


def randomised(x, width, seed=0):
    if not width:
        return x
    projection = np.random.default_rng(seed).standard_normal((x.shape[1], width)) / np.sqrt(x.shape[1])
    return np.maximum(x @ projection.astype(x.dtype), 0)


def last_accuracy(x, y, test_x, test_y, width):
    onehot = np.eye(y.max() + 1, dtype=np.float64)[y]
    fitted = Ridge(alpha=GAMMA, fit_intercept=False, solver="cholesky").fit(
        randomised(x, width).astype(np.float64), onehot
    )
    return float((fitted.predict(randomised(test_x, width)).argmax(1) == test_y).mean())


def quarter(y, seed):
    drawn = np.random.default_rng(seed)
    classes = (np.flatnonzero(y == c) for c in range(y.max() + 1))
    return np.concatenate([drawn.permutation(rows)[: len(rows) // 4] for rows in classes])


def main():
    stored = np.load(sys.argv[1])
    x, y, test_x, test_y = (stored[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    for width in (0, 1000, 5000):
        name = f"ridge on {width:,} random features" if width else "ridge on the features as they are"
        whole = last_accuracy(x, y, test_x, test_y, width)
        print(f"all of them, {x.size * 2 / 2**20:.1f} MiB, {name}: {100 * whole:.2f} %", flush=True)
        drawn = [quarter(y, seed) for seed in range(SEEDS)]
        part = [last_accuracy(x[rows], y[rows], test_x, test_y, width) for rows in drawn]
        print(
            f"a quarter, {len(drawn[0]) * x.shape[1] * 2 / 2**20:.1f} MiB, {name}: "
            f"{100 * np.mean(part):.2f} % ({100 * np.std(part):.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
