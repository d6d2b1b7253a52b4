"""The same network and method natively in Avalanche and here, in one process: how many times faster.

python benchmarks/beside_avalanche.py [--repeats 5] [--width 400]

Generated images of 28 x 28, MLP 784-WIDTH-10, 5 experiences of two classes, evaluated after each on all test
samples of classes seen.  Offline: 2,000 samples a class, batches of 64, 2 epochs; online: 600 a class,
micro-batches of 10, one step each, 10 rehearsed beside.  The wider the network, the more of the time is its
arithmetic, which is the same in both.
CPU seconds of one thread, the fastest of alternating runs.  Start-up: CPU seconds of a fresh process until it can
train: Avalanche's strategies imported, or a scenario of ours checked.
"""

import argparse
import os
import subprocess
import sys
import time
import warnings

import torch
from online import CLASSES, LR, SLOTS, data
from torch import nn

import cl_engine
from cl_engine.adapters.avalanche import to_benchmark
from cl_engine.config.scenario import Scenario

EACH = {"offline": 2000, "online": 600}  # training samples of a class
NETWORK = {"kind": "mlp", "width": 400, "depth": 1}
OFFLINE = {"epochs": 2, "batch_size": 64, "lr": LR, "schedule": "constant", "normalise": "range"}
ONLINE = {"updates_per_sample": 0.1, "lr": LR, "normalise": "range"}
STREAM = {"step": 2, "class_order": "natural"}


def scenario(samples, online, strategy):
    stream = {**STREAM, "delivery": "online", "micro_batch": 10} if online else STREAM
    training = ONLINE if online else OFFLINE
    strategy = {"backbone": NETWORK, **strategy}
    return {"data": samples, "stream": stream, "strategy": strategy, "training": training, "device": "cpu"}


def ours(samples, online, replay):
    rule = {"selection": "reservoir"} if online else {}
    strategy = {"kind": "replay", "total": SLOTS, **rule} if replay else {"kind": "finetune"}
    made = scenario(samples, online, strategy)
    return lambda: cl_engine.run(made).metrics["last_accuracy"]


def through_the_adapter(samples, online, replay):
    name = {"name": "Replay", "mem_size": SLOTS} if replay else {"name": "Naive"}
    made = scenario(samples, online, {"kind": "avalanche", **name})
    return lambda: cl_engine.run(made).metrics["last_accuracy"]


def natively(samples, online, replay):
    """Return Avalanche's own script for the same stream; its benchmark is made outside of what is timed."""
    from avalanche.benchmarks.scenarios.online import split_online_stream
    from avalanche.evaluation.metrics import accuracy_metrics
    from avalanche.training import Naive
    from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin
    from avalanche.training.storage_policy import ReservoirSamplingBuffer

    benchmark = to_benchmark(Scenario.load(scenario(samples, False, {"kind": "finetune"})))

    def run():
        width = NETWORK["width"]
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, CLASSES))
        batch, beside = (10, {"batch_size": 10, "batch_size_mem": 10}) if online else (64, {})
        policy = {"storage_policy": ReservoirSamplingBuffer(SLOTS)} if online else {}
        strategy = Naive(
            model=model,
            optimizer=torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9),
            train_mb_size=batch,
            train_epochs=1 if online else OFFLINE["epochs"],
            eval_mb_size=1024,
            plugins=[ReplayPlugin(mem_size=SLOTS, **beside, **policy)] if replay else [],
            evaluator=EvaluationPlugin(accuracy_metrics(stream=True), loggers=[]),
        )
        found = {}
        for number, experience in enumerate(benchmark.train_stream):
            parts = split_online_stream([experience], experience_size=10) if online else [experience]
            for part in parts:
                strategy.train(part, eval_streams=[])
            found = strategy.eval(benchmark.test_stream[: number + 1])
        return next(value for name, value in found.items() if name.startswith("Top1_Acc_Stream"))

    return run


def compare(title, samples, online, replay, repeats):
    peers = {"Avalanche": natively(samples, online, replay), "ours": ours(samples, online, replay)}
    if not (online and replay):  # where Avalanche's Replay would balance a thousand experiences of ten samples
        peers["its strategy in the engine"] = through_the_adapter(samples, online, replay)
    spent, accuracy = {name: [] for name in peers}, {}
    for _ in range(repeats):
        for name, peer in peers.items():
            torch.manual_seed(0)
            begun = time.process_time()
            with warnings.catch_warnings(record=True):
                accuracy[name] = peer()
            spent[name].append(time.process_time() - begun)
    best = {name: min(times) for name, times in spent.items()}
    print(title)
    for name in peers:
        ratio = best["Avalanche"] / best[name]
        print(f"  {name:28} {best[name]:6.2f} s   {ratio:5.2f} times as fast   last accuracy {accuracy[name]:.3f}")
    sys.stdout.flush()


def start_up():
    programs = {
        "Avalanche": "import avalanche.training.supervised, avalanche.benchmarks",
        "ours": "import cl_engine; cl_engine.Scenario.load({'data': 'digits', 'strategy': 'replay'})",
    }
    best = {}
    for name, program in programs.items():
        times = []
        for _ in range(3):
            begun = os.times()
            subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, capture_output=True)
            ended = os.times()
            times.append(ended.children_user + ended.children_system - begun.children_user - begun.children_system)
        best[name] = min(times)
    print("start-up")
    for name, seconds in best.items():
        print(f"  {name:28} {seconds:6.2f} s   {best['Avalanche'] / seconds:5.2f} times as fast")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--width", type=int, default=NETWORK["width"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    NETWORK["width"] = options.width
    offline, online = data(EACH["offline"]), data(EACH["online"])
    compare("naive, batches of 64", offline, False, False, options.repeats)
    compare("replay of 1,000, batches of 64", offline, False, True, options.repeats)
    compare("naive, micro-batches of 10", online, True, False, options.repeats)
    compare("replay of 1,000, micro-batches of 10", online, True, True, options.repeats)
    start_up()


if __name__ == "__main__":
    main()
