"""Peak memory of a g-acil run over a million samples of 512 features, 2.0 GiB: generated, and from a file.

python benchmarks/memory.py FOLDER     (the file takes 2 GiB there)
"""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

import cl_engine
from cl_engine.data.gaussian import Gaussian

SIZES = {"classes": 100, "features": 512, "samples_per_class": 10_000, "test_per_class": 100}


def run(data):
    cl_engine.run({"data": data, "stream": {"step": 10}, "strategy": {"kind": "g-acil", "width": 0}})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{data['kind']:8}: peak {peak:.2f} GiB", flush=True)


def main():
    if sys.argv[1] in ("gaussian", "npz"):
        run({"kind": "gaussian", **SIZES} if sys.argv[1] == "gaussian" else {"kind": "npz", "path": sys.argv[2]})
        return
    path = Path(sys.argv[1]) / "million.npz"
    if not path.exists():
        data = Gaussian(**SIZES).load()
        arrays = {"x_train": data.train.x, "y_train": data.train.y, "x_test": data.test.x, "y_test": data.test.y}
        np.savez(path, **{name: tensor.numpy() for name, tensor in arrays.items()})
    for kind in ("gaussian", "npz"):
        subprocess.run([sys.executable, __file__, kind, str(path)], check=True)


if __name__ == "__main__":
    main()
