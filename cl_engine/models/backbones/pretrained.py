"""A backbone with weights that were trained elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field

from cl_engine.data.normalisation import Normalisation
from cl_engine.kinds.problems import OptionError, Problem, Problems, one_line, shown
from cl_engine.kinds.signature import ExistingFile, Part, Section
from cl_engine.models.backbone import Backbone, meta_backbone
from cl_engine.models.card import SUFFIX, read_card
from cl_engine.models.freezing import freeze
from cl_engine.models.inputs import InputOptions, Inputs
from cl_engine.models.weights import WeightsError, fit_weights, read_weights, sha256_of


class Pretrained(Backbone):
    """Weights from a local file: frozen, tuned, or frozen up to a stage.

    What `architecture`, `inputs` and `drop` do not say, the card beside the file does, NAME.card.yaml beside
    NAME.safetensors.  Files are safetensors, or of ``torch.save``, of which nothing but tensors is read; every
    tensor of the architecture must be in it and, but for a classifier, no other.

    Frozen weights are `parameters` in the ledger.  With `available` they are `regenerable`, 0 bytes: whoever runs
    the strategy is said to have the file anyway.  The file's SHA-256 is part of the scenario, so that a changed
    file is an error, not another result.

    Raises:
        OptionError: images of a shape that the architecture cannot take, or no such stage to freeze.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        /,
        *,
        weights: Annotated[
            str, ExistingFile(), Field(description="a .safetensors or .pth file, relative to the scenario file")
        ],
        architecture: Annotated[
            str | dict[str, Any] | None,
            Part("backbones"),
            Field(description="the backbone that they belong to, torchvision:NAME and timm:NAME included"),
        ] = None,
        inputs: Annotated[
            dict[str, Any] | None,
            Section(InputOptions),
            Field(
                description="what images go through instead of training.normalise: mean and deviation per channel, "
                "of values in 0..1, resolution, and interpolation: bilinear or bicubic"
            ),
        ] = None,
        frozen: Annotated[
            bool | Annotated[int, Field(ge=1)],
            Field(description="whether the weights stay as they are; a number: those of so many stages"),
        ] = True,
        available: Annotated[
            bool, Field(description="whether everyone has the file anyway, so that frozen weights take 0 bytes")
        ] = False,
        drop: Annotated[
            list[str] | None,
            Field(description="how names of tensors in the file begin that are no part of the backbone"),
        ] = None,
        sha256: Annotated[str | None, Field(description="of the file; null: what it is now")] = None,
    ) -> None:
        super().__init__()
        assert architecture is not None
        assert sha256 is not None
        self.weights, self.architecture, self.sha256, self.drop = weights, architecture, sha256, drop or []
        self.options = _input_options(inputs, shape)
        self.shape = shape
        if self.options is not None:
            size = shape[1:] if self.options.resolution is None else (self.options.resolution,) * 2
            self.shape = (len(self.options.mean), *size)
        body = self._body()
        self.stages, self.features = body.stages, body.features
        self.frozen_stages = _frozen_stages(frozen, len(self.stages))
        if available and not self.frozen_stages:
            raise OptionError("backbone.available", "tuned weights are in no file; allowed: with frozen weights")
        freeze(self.stages[: self.frozen_stages], available=available)
        if available:  # so that the ledger names the file
            self.register_buffer(f"sha256/{sha256}", torch.empty(0), persistent=False)
            self._held_kinds = {f"sha256/{sha256}": "regenerable"}

    @staticmethod
    def complete_options(options: dict[str, Any], folder: Path | None) -> dict[str, Any]:
        """Look up what was not given in the card and the file, so that a scenario names all that its result is of.

        Raises:
            Problems: the card is wrong, the file is another one, or nothing says what the architecture is.
        """
        try:
            found, card = sha256_of(options["weights"]), read_card(options["weights"])
        except WeightsError as error:
            raise Problems([Problem(("weights",), str(error))]) from None
        except OptionError as error:
            raise Problems([Problem((error.option,), error.problem)]) from None
        for said, where in ((options["sha256"], "sha256"), (card["sha256"], "weights")):
            if said is not None and said.lower() != found:
                what = f"{options['weights']} has the SHA-256 {found}; allowed: {one_line(said)[:64]}"
                raise Problems(
                    [Problem((where,), f"{what}, as {'was given' if where == 'sha256' else 'its card says'}")]
                )
        given = {name: value for name, value in options.items() if value is not None}
        complete = {**options, **{name: card[name] for name in ("architecture", "inputs", "drop")}, **given}
        if complete["architecture"] is None:
            card_name = Path(options["weights"]).with_suffix(SUFFIX).name
            what = f"option 'architecture' is missing, and there is no card {card_name} that says it"
            raise Problems([Problem(("architecture",), f"{what}; allowed: the backbone of the weights")])
        complete["drop"] = complete["drop"] or []
        return {**complete, "sha256": found}

    def fill(self, generator: torch.Generator) -> None:
        """Copy the file's values into the architecture; nothing is drawn.

        Raises:
            OptionError: the file is no file of weights, or of another architecture.
        """
        body = self._body()
        known = body.state_dict()
        mine = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        try:
            tensors = read_weights(self.weights, self.sha256)
            fit_weights({name: mine.get(name, known[name]) for name in known}, tensors, body.own_name, self.drop)
        except WeightsError as error:
            raise OptionError("backbone.weights", str(error)) from None
        for name, value in body.constants().items():
            mine[name].copy_(value)

    def inputs(self, normalisation: Normalisation | None) -> Inputs:
        """Return what the weights were trained with, whatever the task's images look like."""
        if self.options is None:
            return super().inputs(normalisation)
        own = (tuple(self.options.mean), tuple(self.options.deviation))
        return Inputs(own, self.options.resolution, self.options.interpolation)

    def train(self, mode: bool = True) -> Pretrained:
        """Set training mode; frozen stages stay in evaluation mode, so that no running statistics move."""
        super().train(mode)
        for stage in list(self.stages)[: self.frozen_stages]:
            stage.eval()
        return self

    def _body(self) -> Backbone:
        return meta_backbone(self.architecture, self.shape)


def _input_options(given: Mapping[str, Any] | None, shape: tuple[int, ...]) -> InputOptions | None:
    if len(shape) != 3:
        return None
    if given is None:
        what = "option 'inputs' is missing, and no card says what images the weights were trained on"
        raise OptionError("backbone.inputs", f"{what}; allowed: mean and deviation, resolution, interpolation")
    options = InputOptions(**given)
    channels = len(options.mean)
    if len(options.deviation) != channels or min(options.deviation) <= 0:
        raise OptionError(
            "backbone.inputs", f"got {shown(dict(given))}; allowed: as many deviations (above 0) as means"
        )
    if shape[0] not in (1, channels):
        what = f"images have {shape[0]} channels, the weights take {channels}"
        raise OptionError("backbone.inputs", f"{what}; allowed: as many, or images of one channel")
    return options


def _frozen_stages(frozen: bool | int, stages: int) -> int:
    if isinstance(frozen, bool):
        return stages if frozen else 0
    if frozen > stages:
        raise OptionError(
            "backbone.frozen", f"got {frozen}, of {stages} stages; allowed: true, false, 1 to {stages}"
        )
    return frozen
