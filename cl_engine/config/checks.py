"""The checks that can be made without training: from plain data with places to the parts of a scenario."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

import cl_engine
from cl_engine.config.axes import assignments_of
from cl_engine.config.common import Common
from cl_engine.config.document import Document
from cl_engine.config.galleries import WHERE, Chosen, Galleries, held_out_parts
from cl_engine.config.identity import data_identity
from cl_engine.config.keys import Evaluate, homes, keys
from cl_engine.config.pretraining import check_never_trained_on, pretrained_data, pretraining_run
from cl_engine.config.service import Serving, serving_of
from cl_engine.data.own import checked
from cl_engine.data.samples import DataError, DataSource, Labels, sample_dtype
from cl_engine.errors import EngineError, InputError
from cl_engine.kinds.problems import OptionError, Problem, Problems, one_line, shown
from cl_engine.kinds.registry import load, spelled
from cl_engine.kinds.signature import options_model
from cl_engine.kinds.validation import validate
from cl_engine.memory.alignment.reference import reference
from cl_engine.memory.budget import MemoryOptions
from cl_engine.scenarios import MODIFIERS, REDUCTIONS
from cl_engine.scenarios.composition import canonical, compose
from cl_engine.scenarios.every import every_stream
from cl_engine.scenarios.plan import PlanError, StreamPlan
from cl_engine.scenarios.transforms import apply, domain_of
from cl_engine.strategies.strategy import Strategy
from cl_engine.terms.received import Received, replacement
from cl_engine.terms.training import Training
from cl_engine.training.augmentation import augmentation_of

REPLACEABLE = (
    "hoc, cl2r, er, bct, lce, mixbct, fct, relative, or a strategy of your own that has `replaceable = True`"
)


class Check:
    """The steps from a tree of plain data (and, from Python, objects) to a scenario."""

    def __init__(self, document: Document, folder: Path | None, name: str, common: Common | None = None) -> None:
        self.document, self.folder, self.source = document, folder, None
        self.common = common or Common()
        tree = document.tree
        if hasattr(tree.get("data"), "load"):  # a data source object
            self.source = checked(tree["data"], spelled("data", type(tree["data"])))
            tree = {**tree, "data": "digits"}  # stands in while the other keys are checked
        strategy = tree.get("strategy")
        if isinstance(strategy, Strategy):
            tree = {**tree, "strategy": {"kind": type(strategy), **strategy.options}}
        elif isinstance(strategy, type):
            tree = {**tree, "strategy": {"kind": strategy}}
        self.tree = tree
        try:
            self.keys = validate(keys, tree, folder)
        except Problems as error:
            raise Problems([self._with_its_home(problem) for problem in error.problems]) from None
        self._plain("strategy")
        self.name = self.keys["name"] or name

    def parts(self) -> dict[str, Any]:
        """Return the parts of a scenario by name.

        Raises:
            Problems: anything is wrong.
        """
        (stream, derived), strategy_class = self._stream(), self._strategy_class()
        self._device()
        if self.keys["sweep"] is not None:
            with blaming(("sweep",)):
                assignments_of(self.keys["sweep"], self.keys["seed"])
        source = self.source or self._source()
        labels = self._labels(source)
        plan = self._plan(stream, labels)
        galleries, service = self._galleries(source, labels, plan), self._service(source, labels, plan)
        held_out = tuple(chosen for part in (galleries, service) if part for chosen in (part.gallery, part.queries))
        return {
            "name": self.name,
            "recipe": self.keys["recipe"],
            "data": self._data(source),
            "stream": canonical(stream, labels.train, labels.train_domains),
            "strategy": self.keys["strategy"],
            "memory": self._memory(),
            "training": self._training(labels),
            "evaluate": Evaluate(**self.keys["evaluate"]),
            "galleries": galleries,
            "service": service,
            "received": self._received(strategy_class, plan, held_out),
            "analyses": tuple(self.keys["analyses"]),
            "seed": self.keys["seed"],
            "device": self.keys["device"],
            "derived": derived,
            "folder": self.folder,
            "source": source,
            "labels": labels,
            "plan": plan,
            "strategy_class": strategy_class,
        }

    def _with_its_home(self, problem: Problem) -> Problem:
        """Say of an unknown key that is an option of a part where that option belongs."""
        if not (problem.at_key and len(problem.where) == 1):
            return problem
        if not (found := homes(str(problem.where[0]), self.tree, self.folder)):
            return problem
        known = ", ".join(options_model(keys).model_fields)
        what = f"unknown option, did you mean {' or '.join(map(repr, found))}?; allowed: {known}"
        return problem._replace(what=what)

    def _plain(self, key: str) -> None:
        """Refuse options that a run directory cannot hold; make tuples lists, as they come back from there."""
        try:
            self.keys[key] = json.loads(json.dumps(self.keys[key], allow_nan=False))
        except (TypeError, ValueError) as error:
            what = f"an option is no plain data: {one_line(error)}; allowed: what YAML can hold"
            raise Problems([Problem((key,), what)]) from None

    def _stream(self) -> tuple[dict[str, Any], frozenset[str]]:
        given, stream = self.tree.get("stream"), self.keys["stream"]
        given = given if isinstance(given, Mapping) else {}
        derived = set()
        if "seed" in stream and "seed" not in given:
            stream = {**stream, "seed": self.keys["seed"]}
            derived.add("seed")
        for name in MODIFIERS:  # a modifier's seed is that of its stream, unless it names one
            if stream[name] is not None and "seed" not in given[name]:
                stream = {**stream, name: {**stream[name], "seed": stream.get("seed", self.keys["seed"])}}
                derived.add(name)
        if self.keys["evaluate"]["every"] != "experience" and stream["delivery"] == "offline":
            what = (
                "an offline stream delivers an experience at once; allowed: experience, or stream.delivery: online"
            )
            raise Problems([Problem(("evaluate", "every"), what)])
        return dict(stream), frozenset(derived)

    def _target(self, key: str, package: str) -> Callable[..., Any]:
        """Return what the kind of a key stands for; from Python it may be the thing itself."""
        given = self.tree.get(key)
        kind = given.get("kind") if isinstance(given, Mapping) else given
        return kind if callable(kind) else load(package, self.keys[key]["kind"], self.folder)

    def _strategy_class(self) -> type[Strategy]:
        target = self._target("strategy", "strategies")
        if not (isinstance(target, type) and issubclass(target, Strategy)):
            kind = self.keys["strategy"]["kind"]
            raise Problems([Problem(("strategy",), f"{shown(kind)} is no subclass of cl_engine.Strategy")])
        return target

    def _memory(self) -> MemoryOptions:
        options = dict(self.keys["memory"])
        if isinstance(options["budget"], dict):
            with blaming(("memory", "budget")):
                options["budget"] = validate(reference, options["budget"], self.folder)
        if options["policy"] == []:
            raise Problems(
                [Problem(("memory", "policy"), "counts nothing; allowed: full, paper or a list of kinds")]
            )
        return MemoryOptions(**options)

    def _device(self) -> None:
        if self.keys["device"] == "cuda" and not torch.cuda.is_available():
            raise Problems([Problem(("device",), "this machine has no usable CUDA device; allowed: auto or cpu")])

    def _received(
        self, strategy_class: type[Strategy], plan: StreamPlan, held_out: tuple[Chosen, ...]
    ) -> tuple[Received, ...]:
        if self.keys["replace"] and not getattr(strategy_class, "replaceable", False):
            what = f"{self.keys['strategy']['kind']} cannot go on from another model; allowed: {REPLACEABLE}"
            raise Problems([Problem(("replace",), what)])
        found: list[Received] = []
        for number, given in enumerate(self.keys["replace"]):
            with blaming(("replace", str(number))):
                entry = validate(replacement, given, self.folder)
                if (entry["model"] is None) == (entry["pretrain"] is None):
                    raise OptionError("model", "given with pretrain, or neither is; allowed: one of the two")
                received = (
                    Received.from_options(entry)
                    if entry["model"] is not None
                    else self._to_be_trained(entry, held_out)
                )
                if received.at >= len(plan) or received.at in {other.at for other in found}:
                    raise OptionError("at", f"got {received.at + 1}; allowed: 1 to {len(plan)}, each once")
            found.append(received)
        return tuple(found)

    def _to_be_trained(self, entry: Mapping[str, Any], held_out: tuple[Chosen, ...]) -> Received:
        """Return a model that is trained before the run, once its scenario has passed every check too."""
        data = pretrained_data(entry["pretrain"], self._named())
        with blaming(("pretrain",)):
            source = self._made(data, load("data", data["kind"], self.folder))
            scenario = pretraining_run(entry, self.keys, data, source)
            Check(Document(scenario, "pretrain"), self.folder, "pretrained", self.common).parts()
        check_never_trained_on(data, source, held_out)
        return Received.to_be_trained(entry, scenario, [data_identity(source), cl_engine.__version__])

    def _galleries(self, source: DataSource, labels: Labels, plan: StreamPlan) -> Galleries | None:
        asked = self.keys["evaluate"]["compatibility"]
        with blaming(WHERE):
            told = {name: asked[name] for name in ("protocol", "map", "pairs", "prefix")} if asked else {}
            return asked and Galleries(*self._held_out(asked, source, labels, plan), **told)

    def _service(self, source: DataSource, labels: Labels, plan: StreamPlan) -> Serving | None:
        asked = self.keys["service"]
        with blaming(("service",)):
            return asked and serving_of(asked, *self._held_out(asked, source, labels, plan))

    def _held_out(
        self, asked: Mapping[str, Any], source: DataSource, labels: Labels, plan: StreamPlan
    ) -> tuple[Chosen, Chosen]:
        return held_out_parts(asked, source, self._named(), labels, plan, self._gallery_source)

    def _named(self) -> dict[str, Any]:
        """Return what the file says of the data; nothing of an object."""
        return {} if self.source is not None else self.keys["data"]

    def _gallery_source(self, part: Mapping[str, Any]) -> DataSource:
        return self._made(part, load("data", part["kind"], self.folder))

    def _source(self) -> DataSource:
        return self._made(self.keys["data"], self._target("data", "data"))

    def _made(self, part: Mapping[str, Any], target: Callable[..., Any]) -> DataSource:
        options = options_of(part)
        spelled_out = json.dumps(part, sort_keys=True, default=str)
        if spelled_out in self.common.sources:
            return self.common.sources[spelled_out]
        with blaming(("data",)):
            source = target(**options)
        if not (hasattr(source, "load") and hasattr(source, "labels")):
            what = f"{shown(part['kind'])} has no labels() and load(), so it is no data source"
            raise Problems([Problem(("data", "kind"), what)])
        found = checked(source, part["kind"])
        self.common.sources[spelled_out] = found
        return found

    def _labels(self, source: DataSource) -> Labels:
        with blaming(("data", "path") if self.keys["data"].get("path") else ("data",)):
            return source.labels()

    def _data(self, source: DataSource) -> dict[str, Any]:
        if self.source is None:
            return dict(self.keys["data"])
        return {"kind": "object", "sha256": data_identity(source) or source.load().identity()}

    def _plan(self, stream: Mapping[str, Any], labels: Labels) -> StreamPlan:
        if self.source is not None:
            return self._planned(stream, labels)
        spelled_out = json.dumps([self.keys["data"], stream], sort_keys=True, default=str)
        if spelled_out not in self.common.plans:
            self.common.plans[spelled_out] = self._planned(stream, labels)
        return self.common.plans[spelled_out]

    def _planned(self, stream: Mapping[str, Any], labels: Labels) -> StreamPlan:
        family, common = self._target("stream", "streams"), options_model(every_stream).model_fields
        own = {k: v for k, v in options_of(stream).items() if k not in common}
        modifiers = {name: stream[name] for name in MODIFIERS if stream[name] is not None}
        with blaming(("stream",)):
            seed, empty = stream.get("seed", 0), stream["empty"]
            reductions = {name: stream[name] for name in REDUCTIONS if stream[name] is not None}
            plan = compose(labels.train, family, own, modifiers, seed, empty, labels.train_domains, reductions)
        with blaming(("stream", "transform")):
            sample = torch.zeros(1, *labels.shape, dtype=sample_dtype(labels.shape))
            for transform in plan.transforms or ():
                apply(transform, sample)
                domain = domain_of(transform)
                if domain is not None and (labels.test_domains is None or domain not in labels.test_domains):
                    raise ValueError(
                        f"this data has no test sample of domain {domain}; allowed: domains of its own"
                    )
        return plan

    def _training(self, labels: Labels) -> Training:
        options = Training(**self.keys["training"])
        if options.first is not None:
            with blaming(("training", "first")):
                allowed = {k: v for k, v in options.first.items() if k != "first"}
                validate(Training, allowed, self.folder)
                if len(allowed) < len(options.first):
                    raise OptionError("first", "stands in itself; allowed: the other options of training")
        for index, where in ((0, ("training", "first")), (1, ("training",))):
            own = options.at(index)
            with blaming(where if index == 0 and options.first else ("training",)):
                if own.nesterov and (own.optimizer != "sgd" or not own.momentum):
                    raise OptionError("nesterov", "needs optimizer: sgd with a momentum above 0")
                if own.schedule == "milestones" and not own.milestones:
                    raise OptionError("milestones", "missing; allowed: a list of epochs, such as [100, 150]")
                with blaming(("augmentation",)):
                    augmentation = augmentation_of(own.augmentation)
                if augmentation is not None:
                    augmentation.check(labels.shape)
                _check_normalise(own.normalise, labels.shape)
        return options


def _check_normalise(given: str | Mapping[str, list[float]], shape: tuple[int, ...]) -> None:
    if isinstance(given, str):
        return
    if len(shape) != 3:
        raise OptionError("normalise", f"samples of shape {list(shape)} are no images; allowed: data or range")
    right = set(given) == {"mean", "deviation"} and all(len(values) == shape[0] for values in given.values())
    if not right or min(given["deviation"]) <= 0:
        each = f"one number for each of {shape[0]} channels"
        raise OptionError("normalise", f"got {shown(dict(given))}; allowed: mean and deviation (above 0), {each}")


class blaming:
    """Turn whatever a part raises while it is built into a problem with its key."""

    def __init__(self, where: tuple[str, ...]) -> None:
        self.where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, EngineError) and not isinstance(error, InputError):
            return  # it names the strategy's breach itself, and has an exit status of its own
        if isinstance(error, Problems):
            raise Problems([Problem((*self.where, *p.where), p.what, p.at_key) for p in error.problems]) from None
        if isinstance(error, OptionError):
            where = (*self.where, *error.option.split("."))
            raise Problems([Problem(where, error.problem)]) from None
        if isinstance(error, DataError | PlanError | ValueError):
            raise Problems([Problem(self.where, one_line(error))]) from None
        if isinstance(error, Exception):  # from a user's own code: say where
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(frame.filename).name}, line {frame.lineno}"
            what = f"{type(error).__name__}: {one_line(error)} ({place})"
            raise Problems([Problem(self.where, what)]) from error


def options_of(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a resolved part, without its kind."""
    return {k: v for k, v in part.items() if k != "kind"}
