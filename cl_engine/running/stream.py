"""A planned stream with its data: what each experience delivers, and how accuracy is measured on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from cl_engine.config.galleries import Galleries
from cl_engine.config.scenario import Scenario
from cl_engine.data.samples import Samples
from cl_engine.evaluation.accuracy import Accuracy
from cl_engine.evaluation.analyses import Analyses
from cl_engine.evaluation.compatibility import Compatibility
from cl_engine.evaluation.evaluator import Diagnostic, Evaluator, Predictor
from cl_engine.evaluation.observing import RENEWED
from cl_engine.evaluation.probe_data import ProbeData
from cl_engine.evaluation.probes import Probes
from cl_engine.evaluation.renewing import ByStrategy, ClosedForm, Renewal, Untouched
from cl_engine.evaluation.serving import Served
from cl_engine.memory.state import HeldState
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.delivery import deliveries
from cl_engine.scenarios.plan import class_ids, exposure_order
from cl_engine.scenarios.transforms import apply
from cl_engine.terms.terms import Terms


class Stream:
    """A scenario's data in the order of its plan, with class ids for labels.

    Attributes:
        plan: the plan.
        names: of the classes in the order of their ids, or None where the data has none.
        terms: what strategies are built and taught under.
        accuracy: measures accuracy.
        evaluators: all that measure what was kept, accuracy first.
        diagnostics: analyses and probes, which look into it.
        deliveries: the micro-batches of each experience.
    """

    def __init__(self, scenario: Scenario, terms: Terms) -> None:
        self.plan, labels = scenario.plan, scenario.labels.train
        self.order = exposure_order(labels, self.plan)
        self.terms = terms
        data = scenario.source.load()
        self.train = data.train
        names = data.names if data.classes else None
        self.names = None if names is None else [names[label] for label in self.order.tolist()]
        self.y = torch.from_numpy(class_ids(self.plan.delivered(labels), self.order))
        # Test sets come sorted by label; in an order of our own no neighbour tells what a sample is.
        shuffled = torch.from_numpy(numpy_generator(0, "test order").permutation(len(data.test)))
        test_y = torch.from_numpy(class_ids(data.test.y.numpy(), self.order))
        test = data.test[shuffled]
        test = test.labelled(test_y[shuffled]).with_columns(**test.columns)
        groups = [exposure.new_classes for exposure in terms.exposures]
        transforms, masked = self.plan.transforms, self.plan.task_identity
        micro_batch = scenario.stream["micro_batch"] if terms.online else None
        options = scenario.evaluate
        device, within = torch.device(terms.device), options.samples is not None
        self.accuracy = Accuracy(test, groups, transforms, masked, device, within)
        self.evaluators: list[Evaluator] = [self.accuracy]
        self.diagnostics: list[Diagnostic] = []
        if scenario.analyses:
            self.diagnostics.append(Analyses(test, scenario.analyses, len(self.plan)))
        if options.probes:
            true = class_ids(labels, self.order)
            chosen = ProbeData(self.train, true, test, self.plan, groups, options.probe_samples)
            self.diagnostics.append(Probes(chosen, options.probes))
        if scenario.galleries:
            self.diagnostics.append(_compatibility(scenario, scenario.galleries))
        if scenario.service:
            served = scenario.service
            gallery, queries = served.gallery.load(), served.queries.load()
            policy, experiences, seed = served.policy, len(self.plan), scenario.seed
            times = served.arrival_times(seed)
            self.diagnostics.append(Served(gallery, queries, policy, served.options, experiences, seed, times))
        self.deliveries = deliveries(self.plan.sizes.tolist(), micro_batch, options.samples, options.protocol)

    def samples(self, index: int) -> Samples:
        """Return what experience ``index`` delivers, in order; copies that nobody else refers to.

        Of data that is larger than memory they are made as batches are asked for.
        """
        start, stop = self.plan.offsets[index : index + 2].tolist()
        samples = self.train[torch.tensor(self.plan.experience(index))].labelled(self.y[start:stop].clone())
        if self.plan.transforms is None:
            return samples
        return samples.changed(partial(apply, self.plan.transforms[index]))

    def facts(self, index: int) -> dict[str, Any]:
        """Return what the record says about what experience ``index`` brought; labels are the data's own."""
        exposure = self.terms.exposures[index]
        return {
            "experience": index,
            "samples": int(self.plan.sizes[index]),
            "classes": self.order[list(exposure.classes)].tolist(),
            "new_classes": self.order[list(exposure.new_classes)].tolist(),
            "present": list(exposure.classes),
        }


def _compatibility(scenario: Scenario, asked: Galleries) -> Compatibility:
    """Return what searches galleries as a scenario asks for it."""
    renewal: Renewal = ByStrategy() if hasattr(scenario.strategy_class, RENEWED) else Untouched()
    if asked.map is not None:
        renewal = ClosedForm(asked.map, asked.pairs, scenario.seed)
    return Compatibility(asked.gallery.load(), asked.queries.load(), asked.protocol, renewal, asked.prefix)


class Curve:
    """Measures accuracy within one experience, on what is held by then.

    Attributes:
        points: ``[samples delivered since the stream began, accuracy]``.
        seconds: what measuring took.
    """

    def __init__(self, stream: Stream, index: int, predictor: Callable[[int, HeldState], Predictor]) -> None:
        self.stream, self.index, self.predictor, self.seconds = stream, index, predictor, 0.0
        self.points: list[list[float | int | None]] = []

    def __call__(self, delivered: int, held: HeldState) -> None:
        """Measure after ``delivered`` samples of the experience, on the classes exposed until then."""
        begun, stream = time.perf_counter(), self.stream
        start = int(stream.plan.offsets[self.index])
        met = torch.bincount(stream.y[: start + delivered], minlength=stream.accuracy.classes) > 0
        exposed = int(met.nonzero().max()) + 1  # inside an experience, ids below it may still be unmet
        facts = stream.accuracy.facts(self.predictor(self.index, held), self.index, exposed, met)
        self.points.append([start + delivered, facts["accuracy"]])
        self.seconds += time.perf_counter() - begun
