"""The `training` section of a scenario."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field


@dataclass(frozen=True)
class Training:
    """The `training` section of a scenario; read by strategies that train by gradient descent."""

    epochs: Annotated[int, Field(ge=1, le=10**9, description="passes over the samples of an experience")] = 20
    batch_size: Annotated[int, Field(ge=1, le=10**9, description="samples of one step")] = 64
    lr: Annotated[float, Field(gt=0, le=1e9, description="learning rate at the start of an experience")] = 0.01
    optimizer: Annotated[
        Literal["sgd", "adam", "adamw"],
        Field(description="SGD with momentum, Adam, or AdamW; made new for each experience"),
    ] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1, description="momentum of SGD; the others ignore it")] = 0.9
    nesterov: Annotated[bool, Field(description="Nesterov's form of the momentum; needs momentum above 0")] = False
    weight_decay: Annotated[
        float, Field(ge=0, le=1e9, description="L2 penalty in the gradient; decoupled for adamw")
    ] = 0.0
    schedule: Annotated[
        Literal["constant", "cosine", "milestones"],
        Field(description="learning rate within an offline experience; cosine ends at 0; milestones multiply it"),
    ] = "cosine"
    milestones: Annotated[
        list[int] | None, Field(description="schedule: milestones: after so many epochs lr is multiplied by decay")
    ] = None
    decay: Annotated[float, Field(gt=0, le=1, description="factor of each milestone")] = 0.1
    warmup: Annotated[
        float, Field(ge=0, le=1e9, description="epochs of linear warm-up before the schedule; offline only")
    ] = 0.0
    label_smoothing: Annotated[
        float, Field(ge=0, lt=1, description="share of the target spread evenly over all classes")
    ] = 0.0
    clip: Annotated[
        float | None, Field(gt=0, description="largest norm of the whole gradient; null: not clipped")
    ] = None
    accumulate: Annotated[
        int, Field(ge=1, le=10**6, description="batches whose gradients are averaged in one step")
    ] = 1
    augmentation: Annotated[
        str | dict[str, Any] | None,
        Field(
            description="what every batch of images goes through: standard, cifar, contrastive, or a mapping such "
            "as {crop: 4, flip: true}"
        ),
    ] = None
    normalise: Annotated[
        Literal["range", "data"] | dict[str, list[float]],
        Field(
            description="pixel values standardised by mean and deviation of the training images' channels (data), "
            "by given ones, {mean: [...], deviation: [...]} of values in 0..1, or scaled to [-1, 1] (range); "
            "features stay as they are"
        ),
    ] = "data"
    precision: Annotated[
        Literal["float32", "bf16"], Field(description="bf16: matrix products of a step in bfloat16 (autocast)")
    ] = "float32"
    channels_last: Annotated[
        Literal["auto"] | bool,
        Field(description="layout of convolution weights; auto: where precision is bf16 or the device a GPU"),
    ] = "auto"
    compile: Annotated[bool, Field(description="torch.compile the loss; pays on a GPU")] = False
    updates_per_sample: Annotated[
        float,
        Field(gt=0, description="optimizer steps per delivered sample of an online stream, instead of epochs"),
    ] = 1.0
    first: Annotated[
        dict[str, Any] | None,
        Field(description="options of the first experience where they differ, such as {epochs: 200}"),
    ] = None

    def at(self, index: int) -> Training:
        """Return the options of experience ``index``.

        >>> training = Training(epochs=5, first={"epochs": 9})
        >>> training.at(0).epochs, training.at(1).epochs
        (9, 5)
        """
        own: Mapping[str, Any] = self.first if index == 0 and self.first else {}
        return dataclasses.replace(self, **own, first=None)
