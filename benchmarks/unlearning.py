"""Taking a class out of a finished run, against running the stream that never had it.

    OMP_NUM_THREADS=1 python benchmarks/unlearning.py

`g-acil` on generated features of width 512, 100 samples a class and 2 tests; a class, then a hundred samples of as
many classes, are taken out of streams of 100 and of 1,000 classes in ten experiences.  CPU seconds of one thread,
the least of three, making the data included.  The run that is made anew is evaluated after every experience.
"""

import tempfile
import time

import torch

import cl_engine
from cl_engine.running.unlearning import unlearn_run

EACH = 100


def seconds(call, rounds=3):
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        call()
        best = min(best, time.process_time() - begun)
    return best


def main():
    torch.set_num_threads(1)
    for classes in (100, 1000):
        with tempfile.TemporaryDirectory() as out:
            run = cl_engine.run(
                {
                    "data": {
                        "kind": "gaussian",
                        "classes": classes,
                        "features": 512,
                        "samples_per_class": EACH,
                        "test_per_class": 2,
                    },
                    "stream": {"step": classes // 10},
                    "strategy": {"kind": "g-acil", "width": 0},
                },
                out=out,
            )
            for what, gone in (("a class", {"classes": [7]}), ("100 samples", {"samples": [*range(0, 9900, 99)]})):
                made = unlearn_run(run.directory, **gone, certify=True)
                apart = made.to_dict()["derived"]["certificate"]["relative_difference"]
                taken = seconds(lambda run=run, gone=gone: unlearn_run(run.directory, **gone))
                scenario = made.directory / "config.yaml"
                anew = seconds(lambda scenario=scenario: cl_engine.run(scenario))
                print(
                    f"{what} of {classes} classes: unlearned in {taken:.2f} s, run anew {anew:.2f} s: "
                    f"{anew / taken:.1f} times; weights {apart:.0e} apart",
                    flush=True,
                )


if __name__ == "__main__":
    main()
