"""A planned stream with its data: what each experience delivers, and how accuracy is measured on it."""

from __future__ import annotations

import time
from typing import Any

import torch

from cl_engine.config.scenario import Scenario, recipe_of
from cl_engine.data.samples import Samples
from cl_engine.evaluation.accuracy import Evaluator
from cl_engine.running.learning import HeldState, rebuild
from cl_engine.running.record import accuracy_facts
from cl_engine.scenarios.delivery import deliveries
from cl_engine.scenarios.plan import class_ids, exposure_order
from cl_engine.scenarios.transforms import apply


class Stream:
    """A scenario's data in the order of its plan, with class ids for labels.

    Attributes:
        plan: the plan.
        recipe: what the strategy is rebuilt from.
        evaluator: measures accuracy.
        deliveries: the micro-batches of each experience.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.plan, labels = scenario.plan, scenario.labels.train
        self.order = exposure_order(labels, self.plan)
        self.recipe = recipe_of(scenario)
        data = scenario.source.load()
        self.x = data.train.x
        self.y = torch.from_numpy(class_ids(self.plan.delivered(labels), self.order))
        test = Samples(data.test.x, torch.from_numpy(class_ids(data.test.y.numpy(), self.order)))
        groups = [exposure.new_classes for exposure in self.recipe.exposures]
        transforms, masked = self.plan.transforms, self.plan.task_identity
        self.evaluator = Evaluator(test, groups, transforms, masked, self.recipe.device)
        micro_batch = scenario.stream["micro_batch"] if self.recipe.online else None
        options = scenario.evaluate
        self.deliveries = deliveries(self.plan.sizes.tolist(), micro_batch, options.samples, options.protocol)

    def samples(self, index: int) -> Samples:
        """Return what experience ``index`` delivers, in order."""
        start, stop = self.plan.offsets[index : index + 2].tolist()
        x = self.x[torch.tensor(self.plan.experience(index))]
        if self.plan.transforms is not None:
            x = apply(self.plan.transforms[index], x)
        return Samples(x, self.y[start:stop])

    def facts(self, index: int) -> dict[str, Any]:
        """Return what the record says about what experience ``index`` brought; labels are the data's own."""
        exposure = self.recipe.exposures[index]
        return {
            "experience": index,
            "samples": int(self.plan.sizes[index]),
            "classes": self.order[list(exposure.classes)].tolist(),
            "new_classes": self.order[list(exposure.new_classes)].tolist(),
            "present": list(exposure.classes),
        }


class Curve:
    """Measures accuracy within one experience, on what is held by then.

    Attributes:
        points: ``[samples delivered since the stream began, accuracy]``.
        seconds: what measuring took.
    """

    def __init__(self, stream: Stream, index: int) -> None:
        self.stream, self.index, self.seconds = stream, index, 0.0
        self.points: list[list[float | int | None]] = []

    def __call__(self, delivered: int, held: HeldState) -> None:
        """Measure after ``delivered`` samples of the experience, on the classes exposed until then."""
        begun, stream = time.perf_counter(), self.stream
        start = int(stream.plan.offsets[self.index])
        exposed = int(stream.y[: start + delivered].max()) + 1  # ids ascend in order of exposure
        strategy = rebuild(stream.recipe, self.index + 1, held)
        columns = stream.recipe.exposures[self.index].seen_classes
        counts = stream.evaluator(strategy, self.index, columns, exposed)
        self.points.append([start + delivered, accuracy_facts(counts, [])["accuracy"]])
        self.seconds += time.perf_counter() - begun
