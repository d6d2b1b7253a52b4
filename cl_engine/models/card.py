"""The card of a file of weights: what the numbers do not say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from cl_engine.kinds.problems import OptionError, Problems, one_line, shown
from cl_engine.kinds.signature import Part, Section
from cl_engine.kinds.validation import validate
from cl_engine.models.inputs import InputOptions

SUFFIX = ".card.yaml"
LARGEST = 1 << 16  # bytes


def card(
    *,
    architecture: Annotated[
        str | dict[str, Any] | None, Part("backbones"), Field(description="the backbone that the weights belong to")
    ] = None,
    inputs: Annotated[
        dict[str, Any] | None, Section(InputOptions), Field(description="what images go through before it")
    ] = None,
    drop: Annotated[
        list[str] | None, Field(description="how names of tensors begin that are no part of the backbone")
    ] = None,
    sha256: Annotated[str | None, Field(description="of the file of weights")] = None,
    source: Annotated[str | None, Field(description="where it is from")] = None,
    licence: Annotated[str | None, Field(description="under which terms")] = None,
) -> dict[str, Any]:
    """Return what a card says."""
    return {"architecture": architecture, "inputs": inputs, "drop": drop, "sha256": sha256}


def read_card(weights: str) -> dict[str, Any]:
    """Return what the card beside a file says, NAME.card.yaml beside NAME.safetensors; all None without one.

    Raises:
        OptionError: the card is wrong.
    """
    path = Path(weights).with_suffix(SUFFIX)
    if not path.is_file():
        return card()
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has {path.stat().st_size:,} bytes")
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise OptionError("weights", f"its card {path} cannot be read: {one_line(error)}; allowed: YAML") from None
    if not isinstance(said, Mapping):
        raise OptionError("weights", f"its card {path} holds {shown(said)}; allowed: a mapping")
    try:
        return card(**validate(card, {str(key): value for key, value in said.items()}, path.parent))
    except Problems as error:
        raise OptionError("weights", f"its card {path} is wrong: {error}") from None
