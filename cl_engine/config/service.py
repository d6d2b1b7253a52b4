"""The `service` section: a retrieval service that is watched while the run's models replace each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from cl_engine.config.galleries import Chosen, gallery, queries
from cl_engine.errors import InputError
from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.signature import Section
from cl_engine.service.codes import Code
from cl_engine.service.policy import Kind, Map, Order, Policy


def service(
    *,
    gallery: Annotated[
        Any, Section(gallery), Field(description="the images that the service has or will have")
    ] = {},  # noqa: B006
    queries: Annotated[Any, Section(queries), Field(description="what is searched for at every look")] = {},  # noqa: B006
    policy: Annotated[
        Kind,
        Field(
            description="what is done with stored vectors when a model is replaced: keep the old model, never "
            "renew them, transform them by a map, or backfill: embed every image anew"
        ),
    ] = "backfill",
    rate: Annotated[float, Field(ge=0, description="images per second that are embedded anew")] = 20.0,
    order: Annotated[
        Order, Field(description="in which; distance: the farthest from the mean of its class first")
    ] = "random",
    batch: Annotated[int, Field(ge=1, description="images that are embedded anew at once")] = 32,
    switch: Annotated[
        Literal["immediately", "when-finished"] | float,
        Field(description="when queries go to the new model: or at a share of vectors in its space, 0 to 1"),
    ] = "immediately",
    map: Annotated[Map | None, Field(description="a closed-form map from old vectors to new ones")] = None,
    pairs: Annotated[int, Field(ge=1, description="images embedded anew that the map is fitted on")] = 256,
    store: Annotated[Code, Field(description="how a value of a vector is stored")] = "float32",
    prefix: Annotated[int | None, Field(ge=1, description="store the first values only; null: all")] = None,
    seconds: Annotated[float, Field(gt=0, description="from one model to the next")] = 3000.0,
    look: Annotated[float, Field(gt=0, description="seconds from one look to the next")] = 100.0,
    initial: Annotated[float, Field(gt=0, le=1, description="share of the gallery that is there at first")] = 1.0,
    inserts: Annotated[
        float, Field(ge=0, description="images per second that come (Poisson), until the gallery is used up")
    ] = 1.0,
    traffic: Annotated[float, Field(ge=0, description="queries per second, for the cost of searches")] = 5.0,
) -> None:
    """Name the options of `service`; never called."""


@dataclass(frozen=True)
class Serving:
    """A service as the scenario asks for it.

    Attributes:
        gallery: the images that it has or will have.
        queries: what is searched for at every look.
        policy: what is done with stored vectors, and when queries go to the new model.
        options: the whole section.
    """

    gallery: Chosen
    queries: Chosen
    policy: Policy
    options: Mapping[str, Any]


def serving_of(options: Mapping[str, Any], gallery: Chosen, queries: Chosen) -> Serving:
    """Return what the section says, with its parts as found.

    Raises:
        OptionError: a policy that contradicts itself.
    """
    found = {name: options[name] for name in ("rate", "order", "switch", "batch", "map", "pairs")}
    try:
        policy = Policy(options["policy"], **found)
    except InputError as error:
        raise OptionError(str(error).partition(" ")[0], str(error).partition(" is ")[2]) from None
    return Serving(gallery, queries, policy, options)
