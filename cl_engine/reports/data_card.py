"""What is in a data set: counts, shapes, values, and samples that occur twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cl_engine.data.normalisation import normalisation
from cl_engine.data.samples import DataSet, Samples
from cl_engine.reports.text import aligned, size

BLOCK = 2048  # samples that are looked at together
MOST_CLASSES = 20  # of which the table has a row each


def data_facts(data: DataSet) -> dict[str, Any]:
    """Return what a data set holds, as plain data; the samples are read twice, block by block.

    Keys: ``shape`` and ``dtype`` of a sample; ``train`` and ``test`` with ``samples`` and ``bytes``; ``classes``, a
    list of ``label``, ``name``, ``train`` and ``test`` (counts); ``mean`` and ``deviation`` of training samples, a
    number for each channel of images (of values in 0..1; a deviation of 1 where nothing changes), one number over
    all features; ``constant``, how many channels or features are the same in all of them; ``duplicates``.
    """
    labels, train, test = data.labels(), data.train, data.test
    known, counts = np.unique(labels.train, return_counts=True)
    tested = dict(zip(*np.unique(labels.test, return_counts=True), strict=True))
    names = data.classes or [""] * len(known)
    return {
        "shape": list(labels.shape),
        "dtype": "uint8" if len(labels.shape) == 3 else "float32",
        "train": {"samples": len(train), "bytes": len(train) * labels.sample_bytes},
        "test": {"samples": len(test), "bytes": len(test) * labels.sample_bytes},
        "classes": [
            {"label": int(label), "name": name, "train": int(count), "test": int(tested.get(label, 0))}
            for label, name, count in zip(known, names, counts, strict=True)
        ],
        **_moments(train, len(labels.shape) == 3),
        "duplicates": duplicates(train, test),
    }


def duplicates(train: Samples, test: Samples) -> dict[str, int]:
    """Count samples that are equal in every value to another one.

    Returns:
        ``train`` and ``test``: samples that equal an earlier one of their part; ``both``: test samples that equal a
        training sample; ``contradicting``: those of the latter whose label no equal training sample has.

    >>> x = torch.arange(3.0).view(3, 1)
    >>> duplicates(Samples(x, torch.tensor([0, 1, 1])), Samples(x[:2], torch.tensor([0, 0])))
    {'train': 0, 'test': 0, 'both': 2, 'contradicting': 1}
    """
    known: dict[bytes, set[int]] = {}
    repeated = 0
    for digest, label in _digests(train):
        repeated += digest in known
        known.setdefault(digest, set()).add(label)
    seen: set[bytes] = set()
    counts = {"train": repeated, "test": 0, "both": 0, "contradicting": 0}
    for digest, label in _digests(test):
        counts["test"] += digest in seen
        seen.add(digest)
        counts["both"] += digest in known
        counts["contradicting"] += digest in known and label not in known[digest]
    return counts


def card(facts: Mapping[str, Any]) -> str:
    """Return the facts as a text for people."""
    classes, twice = facts["classes"], facts["duplicates"]
    what = "channel" if len(facts["shape"]) == 3 else "feature"
    lines = [
        f"a sample is {facts['dtype']} {facts['shape']}, {len(classes)} classes",
        *(f"{part} {facts[part]['samples']:,} samples, {size(facts[part]['bytes'])}" for part in ("train", "test")),
        f"mean {_numbers(facts['mean'])}, deviation {_numbers(facts['deviation'])}"
        + (", per channel, of values in 0..1" if what == "channel" else ", over all features"),
    ]
    if facts["constant"]:
        which = f"1 {what} has" if facts["constant"] == 1 else f"{facts['constant']} {what}s have"
        lines.append(f"{which} one value in all training samples")
    lines.append(
        f"equal samples: {twice['both']} test samples are in training too, {twice['contradicting']} of them under "
        f"another label; {twice['train']} come again within training, {twice['test']} within test"
    )
    counts = [c["train"] for c in classes]
    if len(classes) > MOST_CLASSES:
        lines.append(
            f"training samples of a class: {min(counts):,} to {max(counts):,}; the first and last classes:"
        )
        half = MOST_CLASSES // 2
        classes = [*classes[:half], *classes[-half:]]
    rows = [("label", "train", "test", "name")]
    rows += [(str(c["label"]), f"{c['train']:,}", f"{c['test']:,}", _plain(c["name"])) for c in classes]
    return "\n".join([*lines, aligned(rows)])


def _moments(samples: Samples, images: bool) -> dict[str, Any]:
    """Return mean and deviation, in two passes where there are no 256 values to count, and what never changes."""
    over = (0, 2, 3) if images else (0,)
    extremes = [(x.amin(over), x.amax(over)) for x in _blocks(samples)]
    low, high = (torch.stack(part) for part in zip(*extremes, strict=True))
    constant = int((low.amin(0) == high.amax(0)).sum())
    if images:
        mean, deviation = normalisation(samples)
        return {"mean": [*mean], "deviation": [*deviation], "constant": constant}
    middle = sum(x.double().mean(1).sum() for x in _blocks(samples)) / len(samples)
    variance = sum((x.double() - middle).square().mean(1).sum() for x in _blocks(samples)) / len(samples)
    return {"mean": [float(middle)], "deviation": [float(variance) ** 0.5], "constant": constant}


def _blocks(samples: Samples) -> Iterator[Tensor]:
    return (batch.x for batch in samples.batches(BLOCK))


def _digests(samples: Samples) -> Iterator[tuple[bytes, int]]:
    for batch in samples.batches(BLOCK):
        rows = np.ascontiguousarray(batch.x.numpy()).reshape(len(batch), -1)
        for row, label in zip(rows, batch.y.tolist(), strict=True):
            yield hashlib.blake2b(row.data, digest_size=16).digest(), label


def _numbers(values: list[float]) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def _plain(name: str) -> str:
    return name if name.isprintable() else ascii(name)
