"""A whole online run of replay against a plain loop and Avalanche: micro-batches of 10 and 10 rehearsed beside.

python benchmarks/online.py [--avalanche]

Generated images of MNIST's shape, 5 experiences of two classes, MLP 784-400-10, a reservoir of 1,000, one step a
micro-batch.  CPU seconds of one thread, the fastest of several alternating runs.
"""

import argparse
import random
import time

import torch
from torch import nn
from torch.nn import functional as F

import cl_engine
from cl_engine.data.samples import DataSet, Samples

CLASSES, EACH, TEST, MICRO_BATCH, SLOTS, LR = 10, 3000, 100, 10, 1000, 0.02


def data(each=EACH):
    generator = torch.Generator().manual_seed(0)
    means = torch.rand(CLASSES, 1, 28, 28, generator=generator)

    def split(of_class):
        y = torch.arange(CLASSES).repeat_interleave(of_class)
        noise = torch.randn(len(y), 1, 28, 28, generator=generator)
        return Samples((255 * (means[y] * 0.4 + 0.25 + 0.15 * noise).clamp(0, 1)).byte(), y)

    return DataSet(split(each), split(TEST))


SCENARIO = {
    "stream": {"step": 2, "class_order": "natural", "delivery": "online", "micro_batch": MICRO_BATCH},
    "strategy": {
        "kind": "replay",
        "total": SLOTS,
        "selection": "reservoir",
        "backbone": {"kind": "mlp", "width": 400, "depth": 1},
    },
    "training": {"updates_per_sample": 1 / MICRO_BATCH, "lr": LR},
    "device": "cpu",
}


def ours(samples):
    return cl_engine.run({"data": samples, **SCENARIO}).metrics["last_accuracy"]


def floats(x):
    return x.flatten(1).float().div_(127.5).sub_(1)


def plain(samples):
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, CLASSES))
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, momentum=0.9)
    x_held, y_held = torch.empty(SLOTS, 1, 28, 28, dtype=torch.uint8), torch.empty(SLOTS, dtype=torch.int64)
    seen, accuracy = 0, 0.0
    for first in range(0, CLASSES, 2):
        chosen = torch.nonzero(samples.train.y // 2 == first // 2).flatten()
        chosen = chosen[torch.randperm(len(chosen), generator=generator)]
        for start in range(0, len(chosen), MICRO_BATCH):
            rows = chosen[start : start + MICRO_BATCH]
            x, y = samples.train.x[rows], samples.train.y[rows]
            batch_x, batch_y = x, y
            if held := min(seen, SLOTS):
                drawn = torch.randint(held, (MICRO_BATCH,), generator=generator)
                batch_x, batch_y = torch.cat([x, x_held[drawn]]), torch.cat([y, y_held[drawn]])
            optimizer.zero_grad()
            loss = F.cross_entropy(network(floats(batch_x)), batch_y)
            loss.backward()
            optimizer.step()
            for i in range(len(y)):
                slot = seen if seen < SLOTS else random.randrange(seen + 1)
                if slot < SLOTS:
                    x_held[slot], y_held[slot] = x[i], y[i]
                seen += 1
        known = torch.nonzero(samples.test.y < first + 2).flatten()
        with torch.no_grad():
            right = network(floats(samples.test.x[known])).argmax(1) == samples.test.y[known]
        accuracy = right.float().mean().item()
    return accuracy


def avalanche(samples):
    from avalanche.benchmarks.scenarios.dataset_scenario import benchmark_from_datasets
    from avalanche.benchmarks.scenarios.online import split_online_stream
    from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute
    from avalanche.evaluation.metrics import accuracy_metrics
    from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin
    from avalanche.training.storage_policy import ReservoirSamplingBuffer
    from avalanche.training.supervised import Naive
    from torch.utils.data import TensorDataset

    def tasks(part):
        for first in range(0, CLASSES, 2):
            rows = torch.nonzero(part.y // 2 == first // 2).flatten()
            labels = part.y[rows].tolist()
            yield AvalancheDataset(
                [TensorDataset(floats(part.x[rows]), part.y[rows])],
                data_attributes=[
                    DataAttribute(labels, "targets"),
                    DataAttribute([0] * len(labels), "targets_task_labels", use_in_getitem=True),
                ],
            )

    stream = benchmark_from_datasets(train=list(tasks(samples.train)), test=list(tasks(samples.test)))
    network = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, CLASSES))
    replay = ReplayPlugin(
        mem_size=SLOTS,
        batch_size=MICRO_BATCH,
        batch_size_mem=MICRO_BATCH,
        storage_policy=ReservoirSamplingBuffer(SLOTS),
    )
    strategy = Naive(
        model=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=LR, momentum=0.9),
        train_mb_size=MICRO_BATCH,
        train_epochs=1,
        eval_mb_size=1024,
        plugins=[replay],
        evaluator=EvaluationPlugin(accuracy_metrics(stream=True)),
    )
    result = {}
    for number, experience in enumerate(stream.train_stream):
        for micro_batch in split_online_stream([experience], experience_size=MICRO_BATCH):
            strategy.train(micro_batch)
        result = strategy.eval(stream.test_stream[: number + 1])
    return next(value for name, value in result.items() if name.startswith("Top1_Acc_Stream"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--avalanche", action="store_true", help="needs the avalanche extra")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    samples = data()
    peers = [plain, ours, *([avalanche] if options.avalanche else [])]
    spent = {peer: [] for peer in peers}
    for _ in range(options.repeats):
        for peer in peers:
            random.seed(0)
            torch.manual_seed(0)
            begun = time.process_time()
            accuracy = peer(samples)
            spent[peer].append(time.process_time() - begun)
            print(f"{peer.__name__:10} {spent[peer][-1]:6.2f} s, last accuracy {100 * accuracy:.1f} %", flush=True)
    steps = CLASSES * EACH / MICRO_BATCH
    best = {peer: min(times) for peer, times in spent.items()}
    for peer in peers:
        each = 1000 * best[peer] / steps
        print(f"{peer.__name__:10} {each:.2f} ms a micro-batch, {best[peer] / best[ours]:.2f} of ours")


if __name__ == "__main__":
    main()
