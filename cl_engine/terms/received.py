"""A model that was trained elsewhere and takes the learner's place when an experience begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.signature import ExistingFile, Part
from cl_engine.models.weights import read_weights, sha256_of

NETWORK = "network."  # how names of a network's tensors begin in a checkpoint


def replacement(
    *,
    at: Annotated[int, Field(ge=1, le=10**9, description="before which experience, from 1")],
    model: Annotated[
        str,
        ExistingFile(),
        Field(description="checkpoint.safetensors of a run, or a file with the same names of tensors"),
    ],
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
        sha256: what it must be.
        backbone: the model's own, resolved; None: the strategy's.
    """

    at: int
    model: str
    sha256: str
    backbone: dict[str, Any] | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Received:
        """Return what an entry says.

        Raises:
            OptionError: the file is not what the entry says it is.
            WeightsError: it cannot be read.
        """
        found, said = sha256_of(options["model"]), options["sha256"]
        if said is not None and said.lower() != found:
            raise OptionError("sha256", f"{options['model']} has the SHA-256 {found}; allowed: {said[:64]}")
        return cls(options["at"] - 1, options["model"], found, options["backbone"])

    def plain(self) -> dict[str, Any]:
        """Return the entry of a scenario file that says this."""
        return {"at": self.at + 1, "model": self.model, "backbone": self.backbone, "sha256": self.sha256}

    def tensors(self) -> dict[str, Tensor]:
        """Return the network's tensors by their names in it: ``backbone...`` and ``head...``.

        Raises:
            WeightsError: the file is another one by now, or no file of tensors.
        """
        read = read_weights(self.model, self.sha256)
        return {name.removeprefix(NETWORK): t for name, t in read.items() if name.startswith(NETWORK)}
