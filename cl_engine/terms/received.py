"""A model that was trained elsewhere, or before, and takes the learner's place when an experience begins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from cl_engine.data.cache import ABOUT, folder
from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.signature import ExistingFile, Part, Section
from cl_engine.models.weights import read_weights, sha256_of

MODEL = "model.safetensors"  # in the cache
NETWORK = "network."  # how names of a network's tensors begin in a checkpoint


def pretraining(
    *,
    data: Annotated[Any, Part("data"), Field(description="whose samples; default: the scenario's own")] = None,
    classes: Annotated[
        list[int] | None, Field(min_length=1, description="labels; default: all of other data")
    ] = None,
    epochs: Annotated[int | None, Field(ge=1, description="default: as the scenario trains")] = None,
    seed: Annotated[
        int | None, Field(ge=0, lt=2**63, description="default: of its own, from the scenario's")
    ] = None,
) -> None:
    """Name the options of `replace.pretrain`; never called."""


def replacement(
    *,
    at: Annotated[int, Field(ge=1, le=10**9, description="before which experience, from 1")],
    model: Annotated[
        str | None,
        ExistingFile(),
        Field(description="checkpoint.safetensors of a run, or a file with the same names of tensors"),
    ] = None,
    pretrain: Annotated[
        Any, Section(pretraining), Field(description="train it before the run, on other classes, once")
    ] = None,
    backbone: Annotated[
        Any, Part("backbones"), Field(description="the model's backbone; default: that of the strategy")
    ] = None,
    sha256: Annotated[str | None, Field(description="of the file; null: what it is now")] = None,
) -> None:
    """Name the options of an entry of `replace`; never called."""


@dataclass(frozen=True)
class Received:
    """A model that is received before an experience.

    Attributes:
        at: number of the experience, from 0.
        model: the file.
        sha256: what it must be; None: what was noted when the model was trained.
        backbone: the model's own, resolved; None: the strategy's.
        pretrain: how it is trained, as the scenario says; None: it is there.
        scenario: of the run that trains it.
    """

    at: int
    model: str
    sha256: str | None
    backbone: dict[str, Any] | None = None
    pretrain: dict[str, Any] | None = None
    scenario: dict[str, Any] | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Received:
        """Return what an entry says that names a file.

        Raises:
            OptionError: the file is not what the entry says it is.
            WeightsError: it cannot be read.
        """
        found, said = sha256_of(options["model"]), options["sha256"]
        if said is not None and said.lower() != found:
            raise OptionError("sha256", f"{options['model']} has the SHA-256 {found}; allowed: {said[:64]}")
        return cls(options["at"] - 1, options["model"], found, options["backbone"])

    @classmethod
    def to_be_trained(cls, options: Mapping[str, Any], scenario: Mapping[str, Any], made_of: object) -> Received:
        """Return what an entry says whose model is trained before the run.

        Args:
            options: the entry, complete.
            scenario: of the run that trains it.
            made_of: what else the model depends on.
        """
        text = json.dumps([{**scenario, "device": None}, made_of], sort_keys=True, default=str)
        place = folder(f"model-{hashlib.sha256(text.encode()).hexdigest()[:40]}")
        at, model = options["at"] - 1, str(place / MODEL)
        return cls(at, model, None, options["backbone"], options["pretrain"], dict(scenario))

    def plain(self) -> dict[str, Any]:
        """Return the entry of a scenario file that says this."""
        entry = {"at": self.at + 1, "backbone": self.backbone}
        if self.pretrain is not None:
            return {**entry, "pretrain": self.pretrain}
        return {**entry, "model": self.model, "sha256": self.sha256}

    def is_there(self) -> bool:
        """Return whether the file is there, which one that is trained before the run need not be yet."""
        return self.pretrain is None or Path(self.model).is_file()

    def tensors(self) -> dict[str, Tensor]:
        """Return the network's tensors by their names in it: ``backbone...`` and ``head...``.

        Raises:
            WeightsError: the file is another one by now, or no file of tensors.
        """
        sha256 = self.sha256 or json.loads((Path(self.model).parent / ABOUT).read_text(encoding="utf-8"))["sha256"]
        read = read_weights(self.model, sha256)
        return {name.removeprefix(NETWORK): t for name, t in read.items() if name.startswith(NETWORK)}
