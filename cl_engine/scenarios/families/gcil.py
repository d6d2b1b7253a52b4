"""Generalised class-incremental streams (GCIL): random classes in random amounts in every experience."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.grouping import ranges, shuffled_by_class, undelivered
from cl_engine.scenarios.plan import Int64, StreamPlan, plan_of

LONGTAIL_RATIO = 0.984  # the weight of a class over that of the one before it; 100 classes span a ratio of 4.9
TRIES = 1000  # rounds of the released code's rejection loop, which has no bound of its own


def gcil(
    targets: Int64,
    *,
    experiences: Annotated[int, Field(ge=1, le=10**6, description="number of experiences")] = 20,
    size: Annotated[
        int, Field(ge=1, le=10**9, description="samples per experience, fewer where a class runs out")
    ] = 1000,
    max_classes: Annotated[int, Field(ge=1, le=10**9, description="most classes of an experience")] = 50,
    distribution: Annotated[
        Literal["uniform", "longtail"],
        Field(description="expected shares of the chosen classes: equal, or falling 1.6 % from label to label"),
    ] = "uniform",
    noise: Annotated[
        bool, Field(description="vary each share by a normal factor of standard deviation 0.2")
    ] = False,
    variant: Annotated[
        Literal["direct", "published"],
        Field(
            description="direct: one sample to each chosen class, the rest at random; published: all at random, "
            "redrawn until each chosen class has one, with the draws of the released code"
        ),
    ] = "direct",
    seed: Annotated[int, Field(ge=0, description="draws everything; the papers use 1993")] = 0,
) -> StreamPlan:
    """Each experience has a random number of random classes in unequal amounts; classes return, samples do not.

    Mi et al. (CVPRW 2020) define the setting; this is its executable form in CLS-ER (Arani et al., ICLR 2022).
    An experience chooses 1 to `max_classes` of the classes that have samples left and shares `size` samples out
    among them; a class that has fewer left gives what it has.  No sample comes twice, much of the data may never
    come (see the notes), and experiences are empty once all is used.  Boundaries are hidden.

    ``published`` gives each experience the class counts that the released code draws with the same seed (which
    samples of a class are taken is drawn apart).  ``direct`` never redraws, which changes the distribution: a
    class with a small share gets a little more from it, and any `size` >= `max_classes` works.

    Raises:
        OptionError: more classes than samples in an experience; for ``published``, a seed that NumPy does not
            take, or shares so small that the chosen classes never appear together.
    """
    lists = shuffled_by_class(targets, numpy_generator(seed, "membership"))
    classes = len(lists.labels)
    if size < min(max_classes, classes):
        raise OptionError("max_classes", f"{size} samples per experience cannot hold more than {size} classes")
    if variant == "published" and seed >= 2**32:
        raise OptionError("seed", "`variant: published` takes a seed between 0 and 4294967295")
    generator = np.random.RandomState(seed) if variant == "published" else numpy_generator(seed, "quota")

    # A running product, unlike powers, is the same to the last bit on every machine.
    weights = np.cumprod(np.full(classes, LONGTAIL_RATIO if distribution == "longtail" else 1.0))
    weights = np.maximum(weights, np.finfo(float).tiny)
    appearance = np.argsort(np.unique(targets, return_index=True)[1])  # the released code lists classes so

    used = np.zeros(classes, dtype=np.int64)
    plan = []
    for _ in range(experiences):
        alive = appearance[used[appearance] < lists.counts[appearance]]
        if not len(alive):
            plan.append(alive)
            continue
        number = generator.choice(min(len(alive), max_classes), size=1)[0] + 1
        chosen = generator.choice(alive, size=number, replace=False)
        shares = weights[chosen]
        if noise:
            shares = shares * (1 + np.maximum(generator.normal(0, 0.2, size=number), -0.99))
        shares = shares / np.cumsum(shares)[-1]
        left = lists.counts[chosen] - used[chosen]
        if variant == "direct":
            counts = 1 + generator.multinomial(size - number, shares)
        else:
            counts = _redrawn_counts(shares, size, generator)
            for n in left:  # the released code draws the samples here: its next counts depend on it
                generator.permutation(n)
        taken = np.minimum(counts, left)
        plan.append(lists.samples[ranges(lists.starts[chosen] + used[chosen], taken)])
        used[chosen] += taken

    within_order = numpy_generator(seed, "within_order")
    plan = [within_order.permutation(samples) for samples in plan]
    notes = undelivered(targets, plan, "experiences choose classes and amounts at random")
    return plan_of(targets, plan, boundaries=False, notes=notes)


def _redrawn_counts(shares: npt.NDArray[np.float64], size: int, generator: np.random.RandomState) -> Int64:
    """Draw `size` classes by their shares, int64 counts ``[m]``, again and again until each has one."""
    for _ in range(TRIES):
        counts = np.bincount(generator.choice(len(shares), size=size, p=shares), minlength=len(shares))
        if counts.all():
            return counts
    raise OptionError(
        "variant",
        f"published: {TRIES} draws of {size} samples never held all {len(shares)} chosen classes; choose "
        "`variant: direct`, a larger size or fewer classes",
    )
