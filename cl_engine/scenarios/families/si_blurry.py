"""Si-Blurry streams: a stochastic number of disjoint and blurry classes, and of moved samples, per experience."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.grouping import undelivered
from cl_engine.scenarios.plan import Int64, StreamPlan, plan_of

if TYPE_CHECKING:
    import torch


def si_blurry(
    targets: Int64,
    *,
    experiences: Annotated[int, Field(ge=1, le=10**6, description="number of experiences")] = 5,
    disjoint_percent: Annotated[
        int, Field(ge=0, le=100, description="percent of the classes that stay whole, in one experience")
    ] = 50,
    blurry_percent: Annotated[
        int, Field(ge=0, le=100, description="percent of the other classes' samples that change experience")
    ] = 10,
    variant: Annotated[
        Literal["balanced", "published"],
        Field(
            description="balanced: every blurry class gives samples alike; published: the first samples of each "
            "experience in data order go, as in the released code (on class-sorted data few classes are blurred)"
        ),
    ] = "balanced",
    seed: Annotated[int, Field(ge=0, lt=2**64, description="draws everything; the papers use 1 to 5")] = 0,
) -> StreamPlan:
    """Class counts and moved samples per experience are random; the stream of G-ACIL (`variant: published`).

    Si-Blurry (Moon et al., ICCV 2023).  Uniform random cuts share the disjoint classes, the blurry classes and
    the moved samples out to the experiences, so sizes differ widely and an experience may be empty.  Experience
    ``t`` gives up to ``q_t`` samples of its blurry classes to a pool, which is shuffled; then each experience
    takes its ``q_t`` back, in turn, for as long as the pool lasts.  Boundaries are hidden.

    ``published`` repeats the released code draw for draw: one torch generator with the seed itself, as
    reproducible as ``torch.randperm`` is between versions of torch.  ``balanced`` keeps its classes and quotas
    but permutes each experience's blurry samples before the first ``q_t`` are taken.

    The numbers of disjoint and of blurry classes are each rounded down to a multiple of `experiences`; classes
    left over are dropped and noted.

    Raises:
        OptionError: more experiences than classes.
    """
    import torch

    labels, of_sample = np.unique(targets, return_inverse=True)
    if experiences > len(labels):
        raise OptionError("experiences", f"{experiences} experiences, but the data has {len(labels)} classes")
    generator = torch.Generator().manual_seed(seed)
    homes = draw_homes(len(labels), experiences, disjoint_percent, generator)
    whole = _by_experience(homes.of_disjoint[of_sample], experiences)
    blurred = _by_experience(homes.of_blurry[of_sample], experiences)
    quotas = random_shares(blurry_percent * sum(map(len, blurred)) // 100, experiences, generator)

    if variant == "balanced":
        membership = numpy_generator(seed, "membership")
        blurred = [membership.permutation(samples) for samples in blurred]
    given = np.concatenate([samples[:q] for samples, q in zip(blurred, quotas, strict=True)])
    pool = given[_randperm(len(given), generator)]
    ends = np.cumsum(quotas)
    plan = []
    for t, q in enumerate(quotas):
        samples = np.concatenate([whole[t], blurred[t][q:], pool[ends[t] - q : ends[t]]])
        plan.append(samples[_randperm(len(samples), generator)])

    notes = undelivered(
        targets, plan, f"{experiences} experiences do not divide the disjoint or the blurry classes"
    )
    if len(given) < ends[-1]:
        missing = ends[-1] - len(given)
        notes += (
            f"{len(given)} samples moved, {missing} fewer than drawn: experiences had too few blurry samples",
        )
    return plan_of(targets, plan, boundaries=False, notes=notes)


class Homes(NamedTuple):
    """Where the classes are at home; a class is its position among the ascending label values.

    Attributes:
        order: int64 ``[C]``, the drawn order of the classes: first the disjoint, then the blurry ones.
        disjoint: int64 ``[T]``, the number of disjoint classes of each experience.
        blurry: int64 ``[T]``, the number of blurry classes of each experience.
    """

    order: Int64
    disjoint: Int64
    blurry: Int64

    @property
    def of_disjoint(self) -> Int64:
        """The experience of each disjoint class, int64 ``[C]``; -1 for the others."""
        return self._home(self.order[: self.disjoint.sum()], self.disjoint)

    @property
    def of_blurry(self) -> Int64:
        """The experience of each blurry class, int64 ``[C]``; -1 for the others."""
        return self._home(self.order[self.disjoint.sum() :][: self.blurry.sum()], self.blurry)

    def _home(self, classes: Int64, counts: Int64) -> Int64:
        home = np.full(len(self.order), -1)
        home[classes] = np.repeat(np.arange(len(counts)), counts)
        return home


def draw_homes(classes: int, experiences: int, disjoint_percent: int, generator: torch.Generator) -> Homes:
    """Draw the class order, then the disjoint and the blurry classes of each experience."""
    disjoint = classes * disjoint_percent // 100 // experiences * experiences
    blurry = (classes - disjoint) // experiences * experiences
    order = _randperm(classes, generator)
    return Homes(
        order, random_shares(disjoint, experiences, generator), random_shares(blurry, experiences, generator)
    )


def random_shares(total: int, parts: int, generator: torch.Generator) -> Int64:
    """Cut ``total`` things at ``parts - 1`` uniform random places, int64 ``[parts]``; the last part has some."""
    import torch

    if not total:
        return np.zeros(parts, dtype=np.int64)
    cuts = torch.randint(0, total, (parts - 1,), generator=generator).sort().values.numpy()
    return np.diff(cuts, prepend=0, append=total)


def _randperm(n: int, generator: torch.Generator) -> Int64:
    import torch

    drawn: Int64 = torch.randperm(n, generator=generator).numpy()
    return drawn


def _by_experience(home: Int64, experiences: int) -> list[Int64]:
    """Return the samples at home in each experience, in the order of the data; ``home`` is int64 ``[N]``."""
    samples = np.flatnonzero(home >= 0)
    samples = samples[np.argsort(home[samples], kind="stable")]
    return np.split(samples, np.searchsorted(home[samples], np.arange(1, experiences)))
