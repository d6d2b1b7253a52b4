"""What ``memory.audit: process`` adds to an experience: two fresh children, one learns and one is evaluated.

python benchmarks/audit.py
"""

import time

import torch

import cl_engine


def seconds(strategy, experiences, audit):
    begun = time.perf_counter()
    data = {"kind": "gaussian", "classes": experiences}
    training = {"epochs": 1}
    cl_engine.run(
        {
            "data": data,
            "stream": {"step": 1},
            "strategy": strategy,
            "memory": {"audit": audit},
            "training": training,
        }
    )
    return time.perf_counter() - begun


def main():
    torch.set_num_threads(1)
    for strategy in ("ncm", "finetune"):
        seconds(strategy, 5, "rebuild")
        few, many = (seconds(strategy, n, "process") - seconds(strategy, n, "rebuild") for n in (10, 50))
        each = (many - few) / 40
        print(f"{strategy}: {each:.3f} s an experience, {few - 10 * each:.2f} s at the start")


if __name__ == "__main__":
    main()
