"""Augmenting batches of 128 images of 3 x 32 x 32, against Pillow image by image.

    python benchmarks/augmentation.py

The peer is the usual pipeline of data loaders: every image becomes a Pillow image, goes through the same
operations with a draw of its own, and comes back as an array.  Both start from a uint8 tensor and end in one.
One thread; the runs alternate, and the fastest of each counts.
"""

import math
import random
import time

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

from cl_engine.training.augmentation import PRESETS, augment

BATCH, ROUNDS = 128, 15
ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}


def by_pillow(x, augmentation):
    """Augment image by image."""
    rows = x.permute(0, 2, 3, 1).contiguous().numpy()
    done = np.stack([np.asarray(one_by_pillow(Image.fromarray(row), augmentation)) for row in rows])
    return torch.from_numpy(done).permute(0, 3, 1, 2).contiguous()


def one_by_pillow(image, a):
    width, height = image.size
    if a.crop:
        left, top = random.randint(0, 2 * a.crop), random.randint(0, 2 * a.crop)
        image = ImageOps.expand(image, a.crop).crop((left, top, left + width, top + height))
    if a.resized_crop:
        area, stretch = random.uniform(*a.resized_crop), math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = min(1, math.sqrt(area * stretch)) * width, min(1, math.sqrt(area / stretch)) * height
        left, top = random.uniform(0, width - w), random.uniform(0, height - h)
        image = image.resize((width, height), Image.Resampling.BILINEAR, box=(left, top, left + w, top + h))
    if a.flip and random.random() < 0.5:
        image = ImageOps.mirror(image)
    if random.random() < a.jitter_probability:
        for name, enhancer in ENHANCERS.items():
            strength = getattr(a, name)
            if strength:
                image = enhancer(image).enhance(random.uniform(1 - strength, 1 + strength))
        if a.hue:
            hue, saturation, value = image.convert("HSV").split()
            turn = round(255 * random.uniform(-a.hue, a.hue))
            turned = Image.fromarray((np.asarray(hue).astype(np.int16) + turn).astype(np.uint8))
            image = Image.merge("HSV", (turned, saturation, value)).convert("RGB")
    if random.random() < a.greyscale:
        image = image.convert("L").convert("RGB")
    return image


def seconds(call):
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main():
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (BATCH, 3, 32, 32), dtype=torch.uint8, generator=generator)
    print(f"{'preset':14}{'images/s':>12}{'Pillow':>12}{'ratio':>8}")
    for name, augmentation in PRESETS.items():
        pairs = [
            (
                seconds(lambda a=augmentation: augment(x, a, generator)),
                seconds(lambda a=augmentation: by_pillow(x, a)),
            )
            for _ in range(ROUNDS)
        ]
        ours, peer = (BATCH / min(column) for column in zip(*pairs, strict=True))
        print(f"{name:14}{ours:>12,.0f}{peer:>12,.0f}{ours / peer:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
