"""MEMO beside a whole backbone for each experience (DER): FLOPs and CPU time of a step with 1 to 10 branches.

python benchmarks/memo.py [--backbone resnet32] [--batch 128] [--repeats 3]

A step is that of an experience with t - 1 frozen branches: forward pass, backward pass, SGD.  FLOPs are PyTorch's
count.  With g for the generalised part and s for a specialised block, MEMO's forward pass should cost g + t s where
DER's costs t (g + s): the first columns say what that predicts, the others what was counted and measured.
"""

import argparse
import time
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from cl_engine.models.branched import Branched

CPU, SHAPE, CLASSES = torch.device("cpu"), (3, 32, 32), 10
BRANCHES = (1, 2, 5, 10)


def network(backbone, branches, cut, train_base):
    """Return the network of a later experience: one branch learns, the others are frozen."""
    generator = torch.Generator().manual_seed(0)
    made = Branched(backbone, SHAPE, generator, CPU, cut=cut)
    for _ in range(branches - 1):
        made.branch()
    if branches > 1:
        made.general.requires_grad_(train_base)
    made.head.grow(CLASSES * branches, generator, features=branches * made.width)
    return made.train()


def step(made, optimizer, x, y):
    optimizer.zero_grad()
    F.cross_entropy(made(x), y).backward()
    optimizer.step()


def counted(call):
    """Return the FLOPs of a call."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def measured(call, repeats):
    """Return the CPU seconds of a call, the fastest of some."""
    call()
    spent = []
    for _ in range(repeats):
        begun = time.process_time()
        call()
        spent.append(time.process_time() - begun)
    return min(spent)


def costs(backbone, branches, cut, train_base, batch, repeats):
    """Return FLOPs forward, FLOPs of a step, and seconds of a step."""
    made = network(backbone, branches, cut, train_base)
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(0, 256, (batch, *SHAPE), dtype=torch.uint8, generator=generator)
    y = torch.randint(0, CLASSES * branches, (batch,), generator=generator)
    trained = [p for p in made.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.01, momentum=0.9)
    one = partial(step, made, optimizer, x, y)
    return counted(lambda: made(x)), counted(one), measured(one, repeats)


def parts(backbone):
    """Return the FLOPs forward of the generalised part and of a specialised block, for one image."""
    made = network(backbone, 1, None, True).eval()
    x = made.inputs(torch.zeros(1, *SHAPE, dtype=torch.uint8))
    general = nn.Sequential(*made.backbone.stages[:-1])
    between = general(x)
    return counted(lambda: general(x)), counted(lambda: made.blocks(between))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--backbone", default="resnet32")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    g, s = parts(options.backbone)
    print(f"{options.backbone}: g {g / 1e6:.1f}, s {s / 1e6:.1f} MFLOPs an image; s is {s / (g + s):.3f} of both")
    methods = {"der-expandable": (0, True), "memo": (None, True), "memo, train_base false": (None, False)}
    print(" " * 36 + "forward, predicted  counted    step, counted      CPU time of a step")
    print("branches  method                     GFLOPs  of DER   of DER   GFLOPs  of DER   seconds  of DER")
    for t in BRANCHES:
        whole = t * (g + s) * options.batch
        for name, (cut, train_base) in methods.items():
            forward, step_flops, seconds = costs(
                options.backbone, t, cut, train_base, options.batch, options.repeats
            )
            if name == "der-expandable":
                base = forward, step_flops, seconds
            predicted = whole if cut == 0 else (g + t * s) * options.batch
            print(
                f"{t:8}  {name:24} {predicted / 1e9:8.2f}  {predicted / whole:6.3f}   {forward / base[0]:6.3f} "
                f"{step_flops / 1e9:8.2f}  {step_flops / base[1]:6.3f}  {seconds:8.2f}  {seconds / base[2]:6.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
