"""A scenario's stream as a benchmark of Avalanche."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from cl_engine.adapters.avalanche.needed import need_avalanche
from cl_engine.adapters.torch import Experience, Experiences
from cl_engine.config.scenario import Scenario
from cl_engine.models.inputs import Inputs


def to_benchmark(
    scenario: Scenario | str | Path | Mapping[str, Any], *, seen: Callable[[Tensor], Tensor] | None = None
) -> Any:
    """Return a scenario's stream as a ``CLScenario`` with ``train_stream`` and ``test_stream``.

    Avalanche's own strategies train on it: ``for each in benchmark.train_stream: strategy.train(each)``.  Blurry
    and repeating streams are none other: an experience has the samples and classes that the plan delivers.  Class
    ids count from 0 in the order in which the stream first exposes the classes.  Every sample has the task label
    0, in a task-incremental stream the number of its experience.

    The test stream has one experience for each of training that has a group of its own: the test samples of the
    classes that it exposes first, or all of those under its transform or of its domain.  Experiences know their
    classes (``classes_in_this_experience``, ``classes_seen_so_far``), and ``experience.benchmark`` has
    ``n_classes_per_exp`` and ``classes_order``, which Avalanche's iCaRL asks for, of the classes first exposed.

    Args:
        scenario: what :meth:`Scenario.load` takes, or a loaded scenario.
        seen: makes of raw samples ``[B, ...]`` (uint8 images, float32 features) what a model takes; None: images
            standardised or scaled as ``training.normalise`` says, as networks here see them.

    Raises:
        AvalancheError: Avalanche cannot be imported.
        ConfigError: the scenario is wrong.
    """
    need_avalanche()
    from avalanche.benchmarks import benchmark_from_datasets, with_classes_timeline

    scenario = scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)
    seen = seen or Inputs(scenario.normalisation)
    train, test = Experiences(scenario), Experiences(scenario, "test")
    masked = scenario.plan.task_identity
    made = benchmark_from_datasets(
        train=[_dataset(experience, seen, masked) for experience in train],
        test=[_dataset(experience, seen, masked) for experience in test if len(experience)],
    )
    benchmark = with_classes_timeline(made)
    order = ClassOrder([len(experience.new_classes) for experience in train])
    for stream in benchmark.streams.values():
        for experience in stream:
            experience.benchmark = order
    return benchmark


class ClassOrder:
    """What older benchmarks of Avalanche say of classes.

    Attributes:
        n_classes_per_exp: how many classes each experience exposes first.
        classes_order: the ids of all classes, in that order.
    """

    def __init__(self, new: Sequence[int]) -> None:
        self.n_classes_per_exp = list(new)
        self.classes_order = list(range(sum(new)))


def _dataset(experience: Experience, seen: Callable[[Tensor], Tensor], masked: bool) -> Any:
    from cl_engine.adapters.avalanche.rows import dataset

    samples = experience.samples
    return dataset(samples.labelled(samples.y), seen, experience.index if masked else 0)
