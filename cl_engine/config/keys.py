"""The keys of a scenario file, with what each allows."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from cl_engine.config.galleries import compatibility
from cl_engine.config.service import service
from cl_engine.evaluation.analyses import Analysis
from cl_engine.evaluation.probes import Probe
from cl_engine.kinds.problems import Problems
from cl_engine.kinds.registry import PACKAGES, load, shared, spelled
from cl_engine.kinds.schema import package_schema, part_of, schema
from cl_engine.kinds.signature import Part, Section, aliases, options_model
from cl_engine.memory.budget import MemoryOptions
from cl_engine.scenarios.delivery import Protocol
from cl_engine.scenarios.shipped import RECIPES, shipped
from cl_engine.terms.training import Training

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"


def _checked_every(value: str) -> str:
    if value != "experience" and not re.fullmatch(r"[1-9][0-9]{0,14} samples", value):
        raise ValueError(f"got {value!r}; allowed: experience, or a number of samples such as '1000 samples'")
    return value


def _each_once(names: list[str]) -> list[str]:
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"names {', '.join(twice)} more than once; allowed: each once")
    return names


@dataclass(frozen=True)
class Evaluate:
    """The `evaluate` section of a scenario."""

    every: Annotated[
        str,
        AfterValidator(_checked_every),
        Field(description="'experience', or in an online stream also every so many samples: '1000 samples'"),
    ] = "experience"
    protocol: Annotated[
        Protocol,
        Field(
            description="with samples: at exact multiples (i-Blurry), or after the first micro-batch beyond one "
            "(Si-Blurry and G-ACIL as released)"
        ),
    ] = "exact"
    probes: Annotated[
        list[Probe] | None,
        AfterValidator(lambda names: names and _each_once(names)),
        Field(
            description="what is asked of the representation after each experience: the accuracy of a linear "
            "classifier on it, its CKA with what it was, its drift, the angles of class means to a fixed simplex"
        ),
    ] = None
    probe_samples: Annotated[
        int,
        Field(ge=1, le=10**6, description="samples of each class that probes look at, of each part of the data"),
    ] = 32

    compatibility: Annotated[
        Any,
        Section(compatibility),
        Field(description="whether later models can search galleries of earlier ones; of classes never trained on"),
    ] = None

    @property
    def samples(self) -> int | None:
        """Measure every so many delivered samples; None: only after experiences."""
        return None if self.every == "experience" else int(self.every.split()[0])


def keys(
    *,
    name: Annotated[
        str | None, Field(pattern=rf"^{NAME}$", description="names the run directory (default: the file's name)")
    ] = None,
    data: Annotated[Any, Part("data"), Field(description="where the samples come from")],
    stream: Annotated[Any, Part("streams"), Field(description="who comes when")] = "class-incremental",
    strategy: Annotated[Any, Part("strategies"), Field(description="who learns")],
    recipe: Annotated[
        str | None,
        Field(description="fills in what strategy and training leave open: `cl-engine list recipes`"),
    ] = None,
    memory: Annotated[Any, Section(MemoryOptions), Field(description="what may be held")] = {},  # noqa: B006
    training: Annotated[Any, Section(Training), Field(description="the training loop")] = {},  # noqa: B006
    replace: Annotated[
        list[dict[str, Any]],
        Field(description="models trained elsewhere that take the learner's place: each at, model and backbone"),
    ] = [],  # noqa: B006
    evaluate: Annotated[Any, Section(Evaluate), Field(description="when accuracy is measured")] = {},  # noqa: B006
    service: Annotated[
        Any,
        Section(service),
        Field(description="a retrieval service over the run's models: what renewing its vectors costs and gives"),
    ] = None,
    analyses: Annotated[
        list[Analysis],
        AfterValidator(_each_once),
        Field(description="what is observed of the parts of the network, by block or between branches"),
    ] = [],  # noqa: B006
    seed: Annotated[int, Field(ge=0, lt=2**63, description="root of every random draw")] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="auto: a GPU if there is one")] = "auto",
    sweep: Annotated[
        dict[str, Any] | None,
        Field(
            description="key to list of values, or {range: [first, last], points: n}; zip, include, exclude and "
            "seeds; only read by `cl-engine sweep`"
        ),
    ] = None,
) -> None:
    """Name the keys of a scenario file; never called."""


def homes(option: str, tree: Mapping[str, Any], folder: Path | None) -> list[str]:
    """Return where ``option``, which is no key of the file, would belong: dotted keys of what the file chooses.

    Args:
        option: what stands at the top level.
        tree: the whole file.
        folder: where it is.
    """
    found, top = [], options_model(keys)
    for key, info in top.model_fields.items():
        part = part_of(top, key)
        with contextlib.suppress(Problems):  # a kind that does not exist is reported on its own
            if isinstance(part, Part):
                given = tree.get(key, info.default)
                kind = given.get("kind", info.default) if isinstance(given, Mapping) else given
                if not isinstance(kind, str):
                    kind = spelled(part.package, kind) if isinstance(kind, type) else ""
                target = load(part.package, kind, folder)
                model = options_model(target, shared(part.package))
            elif isinstance(part, Section):
                model = options_model(part.target)
            else:
                continue
            if option in model.model_fields or option in aliases(model):
                found.append(f"{key}.{option}")
    return found


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario file."""
    own = schema(keys)
    own["required"].remove("strategy")
    strategy = own["properties"].pop("strategy")
    kindless = {"type": "object", "not": {"required": ["kind"]}}
    named = {"required": ["recipe"], "properties": {"recipe": {"type": "string"}}}
    own["properties"] |= {
        "strategy": {"description": strategy["description"]},
        "recipe": {**own["properties"]["recipe"], "anyOf": [{"enum": [*shipped(RECIPES)]}, {"type": "null"}]},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cl-engine scenario",
        **own,
        "if": named,  # a recipe has a strategy, or the kind of one
        "then": {"properties": {"strategy": {"if": kindless, "else": strategy}}},
        "else": {"properties": {"strategy": strategy}, "required": ["strategy"]},
        "$defs": {package: package_schema(package) for package in PACKAGES},
    }
