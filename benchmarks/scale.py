"""What a boundary costs in a long stream: CPU seconds of a run of 20 to 1,000 experiences, and per experience.

python benchmarks/scale.py
"""

import tempfile
import time

import torch

import cl_engine

torch.set_num_threads(1)
print("experiences  CPU s  ms per experience")
for experiences in (20, 80, 320, 1000):
    scenario = {
        "data": {
            "kind": "gaussian",
            "classes": experiences,
            "features": 16,
            "samples_per_class": 10,
            "test_per_class": 2,
        },
        "stream": {"kind": "class-incremental", "first": 1, "step": 1},
        "strategy": "ncm",
    }
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        cl_engine.run(scenario, out=folder)
        taken = time.process_time() - begun
    print(f"{experiences:11}  {taken:5.2f}  {1000 * taken / experiences:17.1f}", flush=True)
