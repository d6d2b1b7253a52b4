"""Features of a frozen backbone as data: computed once a sample, kept on the disk for every run that asks."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.kept_features import KeptFeatures
from cl_engine.data.own import checked
from cl_engine.data.samples import DataSet, Labels, Samples
from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.registry import load
from cl_engine.kinds.signature import Part
from cl_engine.models.backbone import Backbone, BackboneOption, build_backbone, meta_backbone
from cl_engine.models.extraction import Precision, features_of
from cl_engine.randomness import torch_generator

FORMAT = 1  # goes up whenever the same backbone and samples give other features
BLOCK, ROWS = 1 << 27, 4096  # bytes of raw samples, and samples, whose features are finished together


class Frozen:
    """The features that a frozen backbone makes of another data set, float32; computed once and kept in the cache.

    Strategies are given features: `backbone: identity`, or a small `mlp`, is what they need.  The backbone stands
    in the ledger at every boundary as `extractor`, 0 bytes where a pretrained one is `available`; an exemplar is
    its features.  A backbone that is not pretrained is drawn from `seed`.

    Raises:
        OptionError: the backbone cannot take the data's samples.
        CacheError: the cache cannot be written, has too little room, or is damaged.
    """

    def __init__(
        self,
        *,
        of: Annotated[
            str | dict[str, Any], Part("data"), Field(description="the data whose samples go through the backbone")
        ],
        backbone: BackboneOption,
        precision: Annotated[
            Precision, Field(description="what is computed in; bf16 moves the features of some networks by a tenth")
        ] = "float32",
        seed: Annotated[int, Field(ge=0, description="draws a backbone that is not pretrained")] = 0,
    ) -> None:
        assert isinstance(of, dict)
        self.of, self.backbone, self.precision, self.seed = of, backbone, precision, seed
        options = {name: value for name, value in of.items() if name != "kind"}
        try:
            made = load("data", of["kind"])(**options)
        except OptionError as error:
            raise OptionError(f"of.{error.option}", error.problem) from None
        self.source = checked(made, of["kind"])

    def labels(self) -> Labels:
        """Return the data's labels, with the shape of its features; nothing is computed."""
        return dataclasses.replace(self.source.labels(), shape=(self.extractor().features,))

    def extractor(self) -> Backbone:
        """Return the backbone on the meta device: what is held of it, without a value."""
        return meta_backbone(self.backbone, self.source.labels().shape)

    def identity(self) -> str:
        """Return the SHA-256 over the data and all else that its features depend on."""
        return self._key

    @property
    def notes(self) -> tuple[str, ...]:
        """What the data itself has to say, such as what was left out of it."""
        return tuple(getattr(self.source, "notes", ()))

    def load(self) -> DataSet:
        """Return the features, mapped from the cache; computed before, where they are not there."""
        return self._data

    @functools.cached_property
    def _key(self) -> str:
        own, backbone = getattr(self.source, "identity", None), self.backbone
        if isinstance(backbone, Mapping) and backbone.get("sha256"):  # wherever its file is, and whoever has it
            backbone = {name: value for name, value in backbone.items() if name not in ("weights", "available")}
        parts = [FORMAT, own() if own else self.of, backbone, self.precision, self.seed]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    @functools.cached_property
    def _data(self) -> DataSet:
        raw = self.source.load()
        made_by = self.backbone if isinstance(self.backbone, str) else self.backbone["kind"]
        self._kept = KeptFeatures(
            self._key,
            len(raw.train) + len(raw.test),
            self.extractor().features,
            f"features of {self.of['kind']} by {made_by}",
        )
        features, training = self._kept.get(functools.partial(self._compute, raw)), len(raw.train)
        train = Samples(features[:training], raw.train.y, raw.train.columns)
        test = Samples(features[training:], raw.test.y, raw.test.columns)
        return DataSet(train, test, raw.classes)

    def _compute(self, raw: DataSet, first: int) -> Iterator[Tensor]:
        """Yield the features of the samples from row ``first`` on, block by block; training samples come first."""
        shape = self.source.labels().shape
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        backbone = build_backbone(self.backbone, shape, torch_generator(self.seed, "backbone"))
        backbone = backbone.requires_grad_(False).eval().to(device)
        inputs, size, before = backbone.inputs(None).to(device), max(1, min(ROWS, BLOCK // math.prod(shape))), 0
        for part in (raw.train, raw.test):
            for start in range(max(0, first - before), len(part), size):
                x = part[start : start + size].x
                yield features_of(backbone, inputs, x, precision=self.precision)
            before += len(part)
