"""Training against plain loops, a DataLoader and Avalanche; CPU seconds of one thread, interleaved, the fastest.

python benchmarks/training.py small [--avalanche]     a small network, whole offline runs included
python benchmarks/training.py resnet                  ResNet-32 on 3 x 32 x 32 images, float32 and bf16
python benchmarks/training.py memo                    MEMO's second and fifth experience
"""

import argparse
import time
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

import cl_engine
from cl_engine.data.digits import Digits
from cl_engine.data.samples import DataSet, Samples
from cl_engine.memory.exemplars.quota import Limits
from cl_engine.models.network import Network
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.expansion.memo import MEMO
from cl_engine.terms.task import Task
from cl_engine.training import Training, fit

CPU = torch.device("cpu")


def compare(peers, repeats):
    """Print CPU seconds of each peer, and how many times faster the first of the names is."""
    spent = {name: [] for name in peers}
    for _ in range(repeats):
        for name, peer in peers.items():
            torch.manual_seed(0)
            begun = time.process_time()
            peer()
            spent[name].append(time.process_time() - begun)
    best = {name: min(times) for name, times in spent.items()}
    ours = next(iter(peers))
    for name in peers:
        print(f"  {name:44} {best[name]:7.2f} s   {best[name] / best[ours]:.2f} of the first", flush=True)


def network(backbone, shape, classes):
    generator = torch.Generator().manual_seed(0)
    made = Network(backbone, shape, generator, CPU)
    made.head.grow(classes, generator)
    return made


def fitted(backbone, data, classes, **options):
    shape = tuple(data.x.shape[1:])
    model = network(backbone, shape, classes)
    task = Task(0, Exposure((), (), classes), shape=shape, training=Training(schedule="constant", **options))
    fit(model, data, task, lambda batch: F.cross_entropy(model(batch.x), batch.y))


def plain(backbone, data, classes, epochs, batch):
    """The usual loop on tensors: the same network, optimizer and batches."""
    model = network(backbone, tuple(data.x.shape[1:]), classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(data), generator=generator).split(batch):
            optimizer.zero_grad()
            F.cross_entropy(model(data.x.index_select(0, rows)), data.y[rows]).backward()
            optimizer.step()


def loader(backbone, data, classes, epochs, batch):
    """The usual loop through a DataLoader."""
    model = network(backbone, tuple(data.x.shape[1:]), classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for _ in range(epochs):
        for x, y in DataLoader(TensorDataset(data.x, data.y), batch_size=batch, shuffle=True):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            loss.item()  # as loops that report their loss do


class Pictures(Dataset):
    """Pillow images, cropped with padding 4 and flipped one by one."""

    def __init__(self, data):
        self.images = [Image.fromarray(x.permute(1, 2, 0).numpy()) for x in data.x]
        self.y = data.y.tolist()

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        padded = Image.new("RGB", (40, 40))
        padded.paste(self.images[index], (4, 4))
        left, top, flip = np.random.randint(9), np.random.randint(9), np.random.randint(2)  # noqa: NPY002
        image = padded.crop((left, top, left + 32, top + 32))
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else image
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255)
        return (x - 0.5) / 0.25, self.y[index]


def pictures(backbone, data, classes, epochs, batch):
    model = network(backbone, (3, 32, 32), classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for _ in range(epochs):
        for x, y in DataLoader(Pictures(data), batch_size=batch, shuffle=True):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            loss.item()


def mnist_like(each, classes=10):
    generator = torch.Generator().manual_seed(0)
    means = torch.rand(classes, 1, 28, 28, generator=generator)
    y = torch.arange(classes).repeat_interleave(each)
    noise = torch.randn(len(y), 1, 28, 28, generator=generator)
    return Samples((255 * (means[y] * 0.4 + 0.25 + 0.15 * noise).clamp(0, 1)).byte(), y)


def whole_run(strategy, data, epochs, batch):
    """A run of ours from its scenario to its record: 5 experiences of two classes."""
    scenario = {
        "data": data,
        "stream": {"step": 2, "class_order": "natural"},
        "strategy": {"kind": strategy, "backbone": {"kind": "mlp", "width": 400, "depth": 1}},
        "training": {"epochs": epochs, "batch_size": batch, "schedule": "constant"},
    }
    if strategy == "replay":
        scenario["strategy"]["total"] = 1000
    cl_engine.run(scenario)


def plain_run(data, epochs, batch):
    """The least that finetuning on the same stream takes: a loop over tensors, and accuracy after each part."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 10))
    for first in range(0, 10, 2):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        part = data.train[torch.nonzero(data.train.y // 2 == first // 2).flatten()]
        for _ in range(epochs):
            for rows in torch.randperm(len(part)).split(batch):
                optimizer.zero_grad()
                x = part.x.index_select(0, rows).float().div_(127.5).sub_(1)
                F.cross_entropy(model(x), part.y[rows]).backward()
                optimizer.step()
        seen = data.test[data.test.y < first + 2]
        with torch.no_grad():
            model(seen.x.float().div_(127.5).sub_(1)).argmax(1).eq(seen.y).float().mean().item()


def avalanche_run(strategy, data, epochs, batch):
    from avalanche.benchmarks.scenarios.dataset_scenario import benchmark_from_datasets
    from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute
    from avalanche.evaluation.metrics import accuracy_metrics
    from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin
    from avalanche.training.supervised import Naive

    def parts(samples):
        for first in range(0, 10, 2):
            part = samples[torch.nonzero(samples.y // 2 == first // 2).flatten()]
            x, labels = part.x.float().div_(127.5).sub_(1), part.y.tolist()
            yield AvalancheDataset(
                [TensorDataset(x, part.y)],
                data_attributes=[
                    DataAttribute(labels, "targets"),
                    DataAttribute([0] * len(labels), "targets_task_labels", use_in_getitem=True),
                ],
            )

    stream = benchmark_from_datasets(train=list(parts(data.train)), test=list(parts(data.test)))
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 10))
    learner = Naive(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9),
        train_mb_size=batch,
        train_epochs=epochs,
        eval_mb_size=1024,
        plugins=[ReplayPlugin(mem_size=1000)] if strategy == "replay" else [],
        evaluator=EvaluationPlugin(accuracy_metrics(stream=True)),
    )
    for number, experience in enumerate(stream.train_stream):
        learner.train(experience)
        learner.eval(stream.test_stream[: number + 1])


def small(options):
    digits = Digits().load().train
    print("digits, MLP 64-128-128-10, batches of 32, 10 epochs: the loop alone")
    compare(
        {
            "fit": lambda: fitted("mlp", digits, 10, epochs=10, batch_size=32),
            "plain loop on tensors": lambda: plain("mlp", digits, 10, 10, 32),
            "plain loop through a DataLoader": lambda: loader("mlp", digits, 10, 10, 32),
        },
        options.repeats,
    )
    data = DataSet(mnist_like(1000), mnist_like(100))
    print("28 x 28 images, MLP 784-400-10, batches of 64, 5 experiences of 2 epochs: whole runs")
    peers = {
        "finetune, from scenario to record": lambda: whole_run("finetune", data, 2, 64),
        "finetune, plain loop on tensors": lambda: plain_run(data, 2, 64),
    }
    if options.avalanche:
        peers["finetune, Avalanche's Naive"] = lambda: avalanche_run("finetune", data, 2, 64)
    compare(peers, options.repeats)
    if options.avalanche:
        peers = {
            "replay, from scenario to record": lambda: whole_run("replay", data, 2, 64),
            "replay, Avalanche's ReplayPlugin": lambda: avalanche_run("replay", data, 2, 64),
        }
        compare(peers, options.repeats)


def resnet(options):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (1024, 3, 32, 32), dtype=torch.uint8, generator=generator)
    data = Samples(x, torch.randint(0, 100, (1024,), generator=generator))
    print("ResNet-32, batches of 128, 8 steps")

    def ours(**more):
        return lambda: fitted("resnet32", data, 100, epochs=1, batch_size=128, **more)

    peers = {
        "precision: bf16": ours(precision="bf16"),
        "plain loop on tensors, float32": lambda: plain("resnet32", data, 100, 1, 128),
        "float32": ours(),
        "float32, channels_last": ours(channels_last=True),
    }
    compare(peers, options.repeats)
    print("the same with crop and flip")
    peers = {
        "precision: bf16, augmentation: standard": ours(precision="bf16", augmentation="standard"),
        "DataLoader of Pillow images, float32": lambda: pictures("resnet32", data, 100, 1, 128),
    }
    compare(peers, options.repeats)


def grown(backbone, shape, experiences, each, epochs, batch):
    """Return MEMO in its latest experience of ten classes, exemplars of earlier ones held; task and samples."""
    generator = torch.Generator().manual_seed(0)
    strategy = MEMO(backbone=backbone, total=each)
    training = Training(epochs=epochs, batch_size=batch, schedule="constant")
    for index in range(experiences):
        classes = tuple(range(10 * index, 10 * index + 10))
        task = Task(index, Exposure(classes, classes, classes[-1] + 1), shape=shape, training=training)
        strategy.begin(task)
        x = torch.randint(0, 256, (each, *shape), dtype=torch.uint8, generator=generator)
        samples = Samples(x, torch.arange(each) % 10 + 10 * index)
        if index < experiences - 1:
            limits = Limits(total=each, classes=task.seen_classes)
            strategy.memory.update(samples, limits, generator, lambda x: x.flatten(1).float())
    return strategy, task, samples


def memo(*sizes):
    strategy, task, samples = grown(*sizes)
    strategy.train_on(task, samples)


def plain_memo(*sizes):
    """The usual loop on the same network: both heads, frozen blocks in evaluation mode, one shuffled set."""
    strategy, task, samples = grown(*sizes)
    network, old = strategy.network, task.old_classes
    auxiliary = nn.Linear(network.width, task.seen_classes - old + 1)
    both = samples + strategy.memory.samples()
    trained = [p for p in [*network.parameters(), *auxiliary.parameters()] if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.01, momentum=0.9)
    network.train()
    for _ in range(task.training.epochs):
        for rows in torch.randperm(len(both)).split(task.training.batch_size):
            optimizer.zero_grad()
            x, y = both.x.index_select(0, rows), both.y[rows]
            between = network.inputs(x)
            for stage in network.backbone.stages[:-1]:
                between = stage(between)
            features = [block(between) for block in network.blocks]
            loss = F.cross_entropy(network.head(torch.cat(features, 1)), y)
            loss = loss + F.cross_entropy(auxiliary(features[-1]), (y - old + 1).clamp(min=0))
            loss.backward()
            optimizer.step()


def expanding(options):
    for what, sizes in {
        "an MLP on 1 x 8 x 8 images, 2nd experience, batches of 32": ("mlp", (1, 8, 8), 2, 1600, 5, 32),
        "an MLP on 1 x 8 x 8 images, 5th experience, batches of 32": ("mlp", (1, 8, 8), 5, 1600, 5, 32),
        "ResNet-32, 2nd experience, batches of 128": ("resnet32", (3, 32, 32), 2, 256, 1, 128),
        "ResNet-32, 5th experience, batches of 128": ("resnet32", (3, 32, 32), 5, 256, 1, 128),
    }.items():
        print(what)
        peers = {"memo": partial(memo, *sizes), "plain loop on tensors": partial(plain_memo, *sizes)}
        compare(peers, options.repeats)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["small", "resnet", "memo"])
    parser.add_argument("--avalanche", action="store_true", help="needs the avalanche extra")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    {"small": small, "resnet": resnet, "memo": expanding}[options.what](options)


if __name__ == "__main__":
    main()
