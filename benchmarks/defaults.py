"""Do the defaults train?  Replay on digits and on images of the user's own, offline and online.

python benchmarks/defaults.py [IMAGES.npz ...]

Prints average and last accuracy in percent and the share of the network's features that are constant over the test
images, for several learning rates and both ways of scaling pixels.
"""

import sys
import tempfile

import torch

import cl_engine
from cl_engine.config.scenario import Scenario

ONLINE = {"stream.delivery": "online", "stream.micro_batch": 10, "training.updates_per_sample": 0.1}


def scenario(path):
    data = {"kind": "npz", "path": path} if path else "digits"
    return {
        "data": data,
        "stream": {"step": 2, "class_order": "natural"},
        "strategy": {"kind": "replay", "total": 500 if path else 200},
        "training": {"epochs": 3 if path else 20},
    }


def measured(given, changes):
    with tempfile.TemporaryDirectory() as folder:
        record = cl_engine.run(given, out=folder, **changes)
        strategy = cl_engine.load(record.directory)
        with torch.no_grad():
            features = strategy.features(Scenario.load(given).source.load().test.x)
    constant = (features.amax(0) == features.amin(0)).float().mean()
    average, last = (100 * record.metrics[name] for name in ("average_accuracy", "last_accuracy"))
    return f"{average:.0f}/{last:.0f} {constant:.2f}"


def main():
    torch.set_num_threads(1)
    for path in [None, *sys.argv[1:]]:
        print(path or "digits")
        for normalise in ("data", "range"):
            for lr in (0.01, 0.02, 0.05):
                changes = {"training.lr": lr, "training.normalise": normalise}
                cells = [measured(scenario(path), {**changes, **more}) for more in ({}, ONLINE)]
                print(f"  lr {lr}, {normalise}: {cells[0]}   online: {cells[1]}", flush=True)


if __name__ == "__main__":
    main()
