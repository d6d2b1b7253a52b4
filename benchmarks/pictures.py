"""A folder of many JPEGs: making the cache, memory, the first batch, pictures per second, beside torchvision.

python benchmarks/pictures.py [--pictures 100000] [--folder DIR] [--torchvision PYTHON]

Each measurement is a process of its own.  PYTHON is one that has torchvision, where this one does not.
The folder is made if it is not there: 100 classes of JPEGs of 96 to 128 pixels either side, which are
brought to 64 x 64.  Memory is the most that was resident (`ru_maxrss`, pages of mapped files included) and the most
that was anonymous (`RssAnon`, looked at after every batch).
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLASSES, SIZE, BATCH, WORKERS = 100, 64, 64, 2


def write(folder, count):
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    kinds = []
    for _ in range(2000):  # written again and again: what is decoded is what takes the time
        width, height = rng.integers(96, 129, 2).tolist()
        picture = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((width, height))
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=90)
        kinds.append(content.getvalue())
    for c in range(CLASSES):
        (folder / f"class{c:03d}").mkdir(parents=True)
    for i in range(count):
        (folder / f"class{i % CLASSES:03d}" / f"{i:07d}.jpg").write_bytes(kinds[i % len(kinds)])


def anonymous():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


def epochs(make):
    """Two passes over all training pictures; what the first batch took and the rate of the second pass."""
    begun, first, most, rates = time.perf_counter(), None, 0, []
    batches = make()
    for _ in range(2):
        start, seen = time.perf_counter(), 0
        for x, y in batches():
            assert len(x) == len(y)
            seen += len(x)
            first = first or time.perf_counter() - begun
            most = max(most, anonymous())
        rates.append(seen / (time.perf_counter() - start))
    return {"first batch s": first, "pictures/s, second epoch": rates[1], "anonymous MiB": most / 2**20}


def ours(folder, cache):
    import torch

    from cl_engine.data.folder import Folder

    def make():
        train, generator = Folder(path=folder, size=SIZE, cache=cache).load().train, torch.Generator()
        return lambda: ((batch.x, batch.y) for batch in train.batches(BATCH, generator.manual_seed(0)))

    return epochs(make)


def run(folder):
    """A whole run of the engine: one experience, one epoch of a linear network."""
    import cl_engine

    data = {"kind": "folder", "path": folder, "size": SIZE}
    stream = {"kind": "class-incremental", "first": CLASSES}
    training = {"epochs": 1, "batch_size": BATCH, "normalise": "data"}
    begun = time.perf_counter()
    cl_engine.run({"data": data, "stream": stream, "strategy": "finetune", "training": training})
    return {"seconds": time.perf_counter() - begun}


def plan(folder):
    from cl_engine.data.folder import Folder

    begun = time.perf_counter()
    labels = Folder(path=folder, size=SIZE).labels()
    return {"pictures": len(labels.train) + len(labels.test), "seconds": time.perf_counter() - begun}


def torchvision(folder):
    import torch
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import CenterCrop, Compose, PILToTensor, Resize

    def make():
        changes = Compose([Resize(SIZE), CenterCrop(SIZE), PILToTensor()])
        data = ImageFolder(folder, changes)
        return lambda: torch.utils.data.DataLoader(data, BATCH, shuffle=True, num_workers=WORKERS)

    return epochs(make)


MEASURES = {
    "plan from names": lambda folder: plan(folder),
    "cache made, then two epochs": lambda folder: ours(folder, "decoded"),
    "cache there, two epochs": lambda folder: ours(folder, "decoded"),
    "a run of the engine": run,
    "encoded, checked, then two epochs": lambda folder: ours(folder, "encoded"),
    "encoded, two epochs": lambda folder: ours(folder, "encoded"),
    f"torchvision, {WORKERS} workers": torchvision,
}


def measured(name, folder):
    facts = MEASURES[name](folder)
    facts["resident MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps(facts))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--torchvision", default=sys.executable)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        return measured(*asked.measure)
    with tempfile.TemporaryDirectory() as work:
        folder = asked.folder or Path(work) / "pictures"
        if not folder.exists():
            write(folder, asked.pictures)
        here = str(Path(__file__).parent.parent)
        environment = {**os.environ, "CL_ENGINE_CACHE": f"{work}/cache", "PYTHONPATH": here, "OMP_NUM_THREADS": "1"}
        for name in MEASURES:
            python = asked.torchvision if name.startswith("torchvision") else sys.executable
            command = [python, __file__, "--measure", name, str(folder)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            facts = json.loads(done.stdout) if done.returncode == 0 else {}
            text = ", ".join(f"{key} {value:,.2f}" for key, value in facts.items())
            print(f"{name}: {text or (done.stderr.strip().splitlines() or ['failed'])[-1]}", flush=True)


if __name__ == "__main__":
    main()
