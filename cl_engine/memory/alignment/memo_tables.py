"""The memory-aligned settings of the MEMO paper (Zhou et al., ICLR 2023, Tables 2-12 and 19-24), computed.

Each setting gives one memory size to three methods: ``single`` (one backbone: Replay, iCaRL, WA, ...),
``der-expandable`` (a backbone for each experience) and ``memo`` (a specialised block for each).  What is taken
over from the publications is their settings, their nominal memory sizes, and the few entries that they print
differently from what their own arithmetic, and their released code, give.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from cl_engine.memory.alignment.exchange import (
    Aligned,
    align,
    expandable_parameters,
    experiences,
    memo_parameters,
    model_bytes,
    worth_in_exemplars,
)
from cl_engine.memory.alignment.sizes import BackboneSizes, backbone_sizes


class Images(NamedTuple):
    """A data set as the paper budgets it.

    Attributes:
        name: of the data set.
        classes: number of classes.
        shape: of one image, a byte for each value.
        backbone: of the single network.
        exemplars: what the method with the largest model holds.
    """

    name: str
    classes: int
    shape: tuple[int, int, int]
    backbone: str
    exemplars: int


class Printed(NamedTuple):
    """An entry that a publication prints differently from what the arithmetic gives."""

    method: str
    column: str
    value: int
    source: str


class Setting(NamedTuple):
    """One memory size: a stream, the backbone that the growing methods repeat, and what is printed about it.

    Attributes:
        images: the data set.
        first: classes of the first experience.
        step: classes of each further one.
        backbone: what DER and MEMO repeat; the single network keeps the data set's own.
        nominal: the memory size as printed, in MB of 2^20 bytes; None where only the released code has the setting.
        printed: entries that are printed differently.
    """

    images: Images
    first: int
    step: int
    backbone: str
    nominal: float | None
    printed: tuple[Printed, ...] = ()

    @property
    def experiences(self) -> int:
        """Number of experiences."""
        return experiences(self.images.classes, self.first, self.step)

    @property
    def stream(self) -> str:
        """The stream in the paper's words, where Base0 means that all experiences are equally large."""
        return f"Base{0 if self.first == self.step else self.first} Inc{self.step}"


class Row(NamedTuple):
    """What one method holds in one setting after its last experience."""

    setting: Setting
    method: str
    backbone: str
    held: Aligned

    @property
    def printed(self) -> list[Printed]:
        """Entries of this row that are printed differently."""
        return [entry for entry in self.setting.printed if entry.method == self.method]

    def plain(self) -> dict[str, Any]:
        """Return the row as JSON holds it."""
        return {
            "data": self.setting.images.name,
            "first": self.setting.first,
            "step": self.setting.step,
            "experiences": self.setting.experiences,
            "nominal_mib": self.setting.nominal,
            "method": self.method,
            "backbone": self.backbone,
            **self.held._asdict(),
            "bytes": self.held.bytes,
            "printed": [{"column": p.column, "value": p.value, "source": p.source} for p in self.printed],
        }


class Rate(NamedTuple):
    """What one backbone is worth: the exchange rate that all settings of its data set rest on."""

    images: Images
    backbone: str
    parameters: int

    @property
    def bytes(self) -> int:
        """What the parameters cost."""
        return model_bytes(self.parameters)

    @property
    def exemplars(self) -> int:
        """How many whole images the same bytes hold."""
        return worth_in_exemplars(self.parameters, math.prod(self.images.shape))

    def plain(self) -> dict[str, Any]:
        """Return the rate as JSON holds it."""
        return {
            "data": self.images.name,
            "shape": list(self.images.shape),
            "backbone": self.backbone,
            "parameters": self.parameters,
            "bytes": self.bytes,
            "exemplars": self.exemplars,
        }


CIFAR100 = Images("CIFAR-100", 100, (3, 32, 32), "resnet32", 2_000)
IMAGENET100 = Images("ImageNet-100", 100, (3, 224, 224), "resnet18", 2_000)
IMAGENET1000 = Images("ImageNet-1000", 1000, (3, 224, 224), "resnet18", 20_000)

PAPER = "paper"
SURVEY = "survey"  # by the same authors, arXiv 2302.03648, Table 7
SINGLE_4970 = Printed("single", "exemplars", 4_970, PAPER)

TABLES: Mapping[str, tuple[Setting, ...]] = {
    "CIFAR-100, performance over memory": (
        Setting(CIFAR100, 10, 10, "convnet2", 7.6),
        Setting(CIFAR100, 10, 10, "resnet14", 12.4),
        Setting(CIFAR100, 10, 10, "resnet20", 16.0),
        Setting(
            CIFAR100, 10, 10, "resnet26", 19.8, (Printed("der-expandable", "parameters", 3_600_000, PAPER),)
        ),
        Setting(CIFAR100, 10, 10, "resnet32", 23.5),
    ),
    "ImageNet-100, performance over memory": (
        Setting(IMAGENET100, 50, 5, "convnet4", 329),
        Setting(IMAGENET100, 50, 5, "resnet10", 493),
        Setting(IMAGENET100, 50, 5, "resnet18", 755, (SINGLE_4970,)),
        Setting(IMAGENET100, 50, 5, "resnet26-bottleneck", 872),
        Setting(IMAGENET100, 50, 5, "resnet34", 1180, (Printed("memo", "exemplars", 4_170, PAPER),)),
        Setting(IMAGENET100, 50, 5, "resnet50", 1273),
    ),
    "CIFAR-100, aligned to DER": (
        Setting(CIFAR100, 5, 5, "resnet32", 41.22),
        Setting(CIFAR100, 10, 10, "resnet32", 23.5),
        Setting(CIFAR100, 50, 5, "resnet32", 25.3),
        Setting(CIFAR100, 50, 10, "resnet32", 16.45),
        Setting(CIFAR100, 20, 20, "resnet32", None),
        Setting(CIFAR100, 50, 25, "resnet32", None),
        Setting(CIFAR100, 50, 50, "resnet32", None),
    ),
    "ImageNet-100, aligned to DER": (
        Setting(IMAGENET100, 50, 5, "resnet18", 756.1, (SINGLE_4970,)),
        Setting(
            IMAGENET100, 10, 10, "resnet18", 713.2,
            (Printed("single", "exemplars", 4_671, SURVEY), Printed("memo", "exemplars", 2_652, SURVEY)),
        ),
    ),
    "ImageNet-1000, aligned to DER": (
        Setting(IMAGENET1000, 100, 100, "resnet18", 3297, (Printed("memo", "exemplars", 20_666, PAPER),)),
    ),
}  # fmt: skip


def memo_tables() -> dict[str, list[Row]]:
    """Return all tables by title, three rows for each setting."""
    return {title: [row for setting in settings for row in rows(setting)] for title, settings in TABLES.items()}


def exchange_rates() -> list[Rate]:
    """Return what each backbone of the tables is worth, data set by data set, smallest first.

    ImageNet-1000 has the images, and so the rates, of ImageNet-100.

    >>> [rate.exemplars for rate in exchange_rates() if rate.backbone == "resnet32"]
    [603]
    """
    found = {
        (images.name, backbone): Rate(images, backbone, _sizes(backbone, images.shape).parameters)
        for settings in TABLES.values()
        for setting in settings
        for images in [setting.images]
        if images is not IMAGENET1000
        for backbone in (images.backbone, setting.backbone)
    }
    return sorted(found.values(), key=lambda rate: (math.prod(rate.images.shape), rate.parameters))


def rows(setting: Setting) -> list[Row]:
    """Return what single, der-expandable and memo hold in ``setting``."""
    images = setting.images
    single, grown = _sizes(images.backbone, images.shape), _sizes(setting.backbone, images.shape)
    parts = (grown.generalised, grown.specialised, setting.experiences)
    parameters = {
        "single": single.parameters,
        "der-expandable": expandable_parameters(*parts),
        "memo": memo_parameters(*parts),
    }
    held = align(parameters, images.exemplars, math.prod(images.shape))
    return [
        Row(setting, method, images.backbone if method == "single" else setting.backbone, held[method])
        for method in parameters
    ]


@functools.cache
def _sizes(backbone: str, shape: tuple[int, ...]) -> BackboneSizes:
    return backbone_sizes(backbone, shape)
