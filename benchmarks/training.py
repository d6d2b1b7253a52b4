"""The training loop against the usual one: the same network, data, optimizer and batches through a DataLoader.

python benchmarks/training.py
"""

import time

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from cl_engine.data.digits import Digits
from cl_engine.models.inputs import to_float
from cl_engine.models.network import Network
from cl_engine.scenarios.exposure import Exposure
from cl_engine.terms.task import Task
from cl_engine.training import Training, fit

EPOCHS, BATCH = 10, 32
TRAINING = Training(epochs=EPOCHS, batch_size=BATCH, schedule="constant")


def network():
    generator = torch.Generator().manual_seed(0)
    made = Network("mlp", (1, 8, 8), generator, torch.device("cpu"))
    made.head.grow(10, generator)
    return made


def ours(data):
    model = network()
    task = Task(0, Exposure((), (), 10), shape=(1, 8, 8), training=TRAINING)
    fit(model, data, task, lambda batch: F.cross_entropy(model(batch.x), batch.y))


def usual(data):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    loader = DataLoader(TensorDataset(to_float(data.x), data.y), batch_size=BATCH, shuffle=True)
    for _ in range(EPOCHS):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            loss.item()  # as loops that report their loss do


def main():
    torch.set_num_threads(1)
    data = Digits().load().train
    ratios = []
    for _ in range(6):
        times = []
        for loop in (usual, ours):
            begun = time.perf_counter()
            loop(data)
            times.append(time.perf_counter() - begun)
        ratios.append(times[0] / times[1])
    ratios = sorted(ratios[1:])  # the first pair warms up
    print(f"usual loop / ours, {EPOCHS} epochs of digits in batches of {BATCH}: {ratios[2]:.2f} (of 5: {ratios})")


if __name__ == "__main__":
    main()
