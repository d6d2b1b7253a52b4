"""The `service` section: a retrieval service that is watched while the run's models replace each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from cl_engine.config.arrivals import read_arrivals
from cl_engine.config.galleries import Chosen, gallery, queries
from cl_engine.errors import InputError
from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.signature import ExistingFile, Section
from cl_engine.models.weights import sha256_of
from cl_engine.service.arrivals import Times, poisson_arrivals
from cl_engine.service.codes import PARTS, Code
from cl_engine.service.policy import Kind, Map, Order, Policy
from cl_engine.service.product import CENTRES, check_faiss


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
            "renew them, lazy: renew what answers a query, transform them by a map, or backfill: embed every image "
            "anew"
        ),
    ] = "backfill",
    rate: Annotated[float, Field(ge=0, description="images per second that are embedded anew")] = 20.0,
    order: Annotated[
        Order,
        Field(
            description="in which; popularity: what answers most queries first; distance: the farthest from the "
            "mean of its class; sigma: the largest error that is expected of the map"
        ),
    ] = "random",
    batch: Annotated[int, Field(ge=1, description="images that are embedded anew at once")] = 32,
    switch: Annotated[
        Literal["immediately", "when-finished"] | float,
        Field(description="when queries go to the new model: or at a share of vectors in its space, 0 to 1"),
    ] = "immediately",
    map: Annotated[Map | None, Field(description="a closed-form map from old vectors to new ones")] = None,
    pairs: Annotated[int, Field(ge=1, description="images embedded anew that the map is fitted on")] = 256,
    store: Annotated[
        Code, Field(description="how a vector is stored: its values, or under pq a byte for each of its parts")
    ] = "float32",
    parts: Annotated[int, Field(ge=1, le=65536, description="bytes of a vector under pq")] = PARTS,
    prefix: Annotated[int | None, Field(ge=1, description="store the first values only; null: all")] = None,
    seconds: Annotated[float, Field(gt=0, description="from one model to the next")] = 3000.0,
    look: Annotated[float, Field(gt=0, description="seconds from one look to the next")] = 100.0,
    initial: Annotated[float, Field(gt=0, le=1, description="share of the gallery that is there at first")] = 1.0,
    inserts: Annotated[
        float, Field(ge=0, description="images per second that come (Poisson), until the gallery is used up")
    ] = 1.0,
    arrivals: Annotated[
        str | None,
        ExistingFile(),
        Field(description="CSV of image,seconds: when images come, in place of initial and inserts"),
    ] = None,
    arrivals_sha256: Annotated[str | None, Field(description="of that file; null: what it is now")] = None,
    traffic: Annotated[
        float, Field(ge=0, description="queries per second, for the cost of searches and for lazy")
    ] = 5.0,
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
        arrivals: when each image comes, where a file says so.
    """

    gallery: Chosen
    queries: Chosen
    policy: Policy
    options: Mapping[str, Any]
    arrivals: Times | None = None

    def arrival_times(self, seed: int) -> Times:
        """Return when each image of the gallery comes: as the file says, or else by chance."""
        if self.arrivals is not None:
            return self.arrivals
        images = len(self.gallery)
        return poisson_arrivals(images, first_images(self.options, images), self.options["inserts"], seed)


def serving_of(options: Mapping[str, Any], gallery: Chosen, queries: Chosen) -> Serving:
    """Return what the section says, with its parts as found.

    Raises:
        OptionError: a policy that contradicts itself, a file of arrivals with a wrong row or of another SHA-256, or
            a code that cannot be.
    """
    found = {name: options[name] for name in ("rate", "order", "switch", "batch", "map", "pairs")}
    try:
        policy = Policy(options["policy"], **found)
    except InputError as error:
        raise OptionError(str(error).partition(" ")[0], str(error).partition(" is ")[2]) from None
    arrivals = None
    if options["arrivals"] is not None:
        options = {**options, "arrivals_sha256": _same_file(options)}
        try:
            arrivals = read_arrivals(options["arrivals"], len(gallery))
        except InputError as error:
            raise OptionError("arrivals", str(error)) from None
    if options["store"] == "pq":
        at_first = first_images(options, len(gallery)) if arrivals is None else int((arrivals <= 0).sum())
        _check_parts(policy, at_first)
    return Serving(gallery, queries, policy, options, arrivals)


def first_images(options: Mapping[str, Any], images: int) -> int:
    """Return how many images are there at first, where no file says so."""
    share: float = options["initial"]
    return max(1, round(share * images))


def _same_file(options: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the file of arrivals, which nothing but it may name."""
    if (options["initial"], options["inserts"]) != (1.0, 1.0):
        raise OptionError("arrivals", "given with initial or inserts; allowed: the file, or these")
    found, said = sha256_of(options["arrivals"]), options["arrivals_sha256"]
    if said is not None and said.lower() != found:
        raise OptionError("arrivals_sha256", f"{options['arrivals']} has {found}; allowed: {said[:64]}")
    return found


def _check_parts(policy: Policy, images: int) -> None:
    """Check that vectors can be stored in parts."""
    if policy.map is not None:
        raise OptionError("store", "pq with a map; allowed: no map, as codes belong to the codebook of one model")
    if images < CENTRES:
        raise OptionError("store", f"pq with {images} images at first; allowed: {CENTRES} or more to train on")
    try:
        check_faiss()
    except InputError as error:
        raise OptionError("store", f"pq: {error}") from None
