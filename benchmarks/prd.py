"""PRD's step on two views against a plain loop, and against views made image by image with Pillow.

    python benchmarks/prd.py [--backbone convnet2]

All three take the same steps of the second of two experiences: encoder, projection, contrast, prototypes, relations
under the old model, one optimizer step, on batches of 128 images of 3 x 32 x 32 in two views.  The plain loop is
what one writes for this one method, with the same batched views.  The usual pipeline makes each view of each image
with Pillow; it is skipped where Pillow is missing.  CPU seconds of one thread, interleaved, the fastest of each.
"""

import argparse
import copy
import time

import torch
from torch import nn
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.models import Prototypes, projection_head
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.prototypes.prd import PRD
from cl_engine.terms.task import Task
from cl_engine.training import Training, views
from cl_engine.training.augmentation import PRESETS

try:
    from augmentation import by_pillow
except ImportError as missing:
    by_pillow, why = None, missing

CPU, BATCH, BATCHES, CLASSES, SHAPE = torch.device("cpu"), 128, 4, 10, (3, 32, 32)
EXPOSURES = (Exposure((0, 1, 2, 3, 4), (0, 1, 2, 3, 4), 5), Exposure((5, 6, 7, 8, 9), (5, 6, 7, 8, 9), CLASSES))


def engine(backbone, data):
    """Learn the second experience with the strategy."""
    training = Training(epochs=1, batch_size=BATCH, augmentation="prd", schedule="constant", normalise="range")
    strategy = PRD(backbone=backbone, teacher_mode="training")
    tasks = [Task(i, exposure, shape=SHAPE, training=training) for i, exposure in enumerate(EXPOSURES)]
    for task in tasks:
        strategy.begin(task)
    strategy.learn(tasks[1], data)


def plain(backbone, data, make_views):
    """Learn it with a loop that knows nothing else."""
    draw = torch.Generator().manual_seed(0)
    model = Prototypes(backbone, SHAPE, draw, CPU)
    model.grow(CLASSES, draw)
    project = projection_head(model.width, 128, draw)
    teacher = copy.deepcopy(model).requires_grad_(False)
    moving = [*model.encoder.parameters(), *project.parameters()]
    optimizer = torch.optim.SGD(
        [{"params": moving, "momentum": 0.9}, {"params": [model.rows], "momentum": 0.0}], lr=0.003
    )
    nn.ModuleList([model, project]).train()
    for chosen in torch.randperm(len(data), generator=draw).split(BATCH):
        x, y = make_views(data.x[chosen], draw), data.y[chosen].repeat(2)
        features = model.features(x)
        with torch.no_grad():
            before = F.normalize(teacher.features(x))
        z, unit = F.normalize(project(features)), F.normalize(features)
        similar = (z @ z.T / 0.1).fill_diagonal_(-torch.inf)
        positive = (y[:, None] == y).fill_diagonal_(False)
        contrast = -(similar.log_softmax(1).masked_fill(~positive, 0).sum(1) / positive.sum(1).clamp(min=1)).mean()
        rows = F.normalize(model.rows)
        attraction = (1 - (rows[y] * unit.detach()).sum(1)).mean()
        new = (rows[:5] @ unit.T / 0.1).log_softmax(1)
        old = (F.normalize(teacher.rows[:5]) @ before.T / 0.1).log_softmax(1)
        loss = contrast / 0.7 + 20 * attraction + 4 * F.kl_div(old, new, reduction="sum", log_target=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main():
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="convnet2")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (BATCH * BATCHES, *SHAPE), generator=draw).to(torch.uint8)
    data, prd = Samples(x, 5 + torch.arange(len(x)) % 5), PRESETS["prd"]

    def batched(images, draw):
        return views(images, prd, draw)

    def singly(images, _):
        return torch.cat([by_pillow(images, prd), by_pillow(images, prd)])

    peers = {
        "cl-engine, step": lambda: engine(given.backbone, data),
        "plain loop, step": lambda: plain(given.backbone, data, batched),
        "cl-engine, views alone": lambda: [batched(part, draw) for part in x.split(BATCH)],
    }
    if by_pillow is None:
        print(f"without Pillow: {why}")
    else:
        peers["Pillow, step"] = lambda: plain(given.backbone, data, singly)
        peers["Pillow, views alone"] = lambda: [singly(part, draw) for part in x.split(BATCH)]
    best = {}
    for _ in range(given.repeats):
        for name, peer in peers.items():
            begun = time.process_time()
            peer()
            best[name] = min(best.get(name, torch.inf), time.process_time() - begun)
    for name, seconds in best.items():
        of = "cl-engine, views alone" if "alone" in name else "cl-engine, step"
        print(f"{name:24} {1000 * seconds / BATCHES:8.1f} ms a batch   {seconds / best[of]:5.2f} of cl-engine's")


if __name__ == "__main__":
    main()
