"""A scenario: what the YAML file says, checked as a whole before anything runs."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, Field

from cl_engine.config.document import Document, SourceError, read
from cl_engine.data.samples import DataError, DataSource, Labels, sample_dtype
from cl_engine.errors import InputError
from cl_engine.kinds.problems import OptionError, Problem, Problems, one_line, shown
from cl_engine.kinds.registry import load
from cl_engine.kinds.schema import schema
from cl_engine.kinds.signature import Part, Section, options_model
from cl_engine.kinds.validation import validate
from cl_engine.memory.alignment.reference import reference, reference_bytes
from cl_engine.memory.budget import Budget, MemoryOptions
from cl_engine.running.learning import Recipe, begin, exposures, fixed_exemplars, rebuild
from cl_engine.scenarios import MODIFIERS
from cl_engine.scenarios.composition import compose
from cl_engine.scenarios.delivery import Protocol
from cl_engine.scenarios.every import every_stream
from cl_engine.scenarios.plan import PlanError, StreamPlan
from cl_engine.scenarios.transforms import apply
from cl_engine.strategies.strategy import Strategy
from cl_engine.terms.task import Exposure
from cl_engine.training.loop import Training

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"


class ConfigError(InputError):
    """The scenario is wrong; one line per problem, ``FILE:LINE:COL: key: what is wrong; what is allowed``."""


def _checked_every(value: str) -> str:
    if value != "experience" and not re.fullmatch(r"[1-9][0-9]{0,14} samples", value):
        raise ValueError(f"got {value!r}; allowed: experience, or a number of samples such as '1000 samples'")
    return value


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

    @property
    def samples(self) -> int | None:
        """Measure every so many delivered samples; None: only after experiences."""
        return None if self.every == "experience" else int(self.every.split()[0])


def _keys(
    *,
    name: Annotated[
        str | None, Field(pattern=rf"^{NAME}$", description="names the run directory (default: the file's name)")
    ] = None,
    data: Annotated[Any, Part("data"), Field(description="where the samples come from")],
    stream: Annotated[Any, Part("streams"), Field(description="who comes when")] = "class-incremental",
    strategy: Annotated[Any, Part("strategies"), Field(description="who learns")],
    memory: Annotated[Any, Section(MemoryOptions), Field(description="what may be held")] = {},  # noqa: B006
    training: Annotated[Any, Section(Training), Field(description="the training loop")] = {},  # noqa: B006
    evaluate: Annotated[Any, Section(Evaluate), Field(description="when accuracy is measured")] = {},  # noqa: B006
    seed: Annotated[int, Field(ge=0, lt=2**63, description="root of every random draw")] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="auto: a GPU if there is one")] = "auto",
    sweep: Annotated[
        dict[str, list[Any]] | None, Field(description="key to list of values; only read by `cl-engine sweep`")
    ] = None,
) -> None:
    """Name the keys of a scenario file; never called."""


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cl-engine scenario",
        **schema(_keys),
    }


@dataclass(frozen=True, eq=False)
class Scenario:
    """A scenario that passed every check that can be made without training.

    Make one with :meth:`load`.  ``data``, ``stream`` and ``strategy`` are mappings ``{"kind": ..., options}`` with
    every default filled in.
    """

    name: str
    data: dict[str, Any]
    stream: dict[str, Any]
    strategy: dict[str, Any]
    memory: MemoryOptions
    training: Training
    evaluate: Evaluate
    seed: int
    device: Literal["auto", "cpu", "cuda"]
    derived: frozenset[str] = field(repr=False)
    document: Document = field(repr=False)
    folder: Path | None = field(repr=False)
    source: DataSource = field(repr=False)
    labels: Labels = field(repr=False)
    plan: StreamPlan = field(repr=False)
    strategy_class: type[Strategy] = field(repr=False)

    @classmethod
    def load(
        cls, scenario: str | Path | Mapping[str, Any] | Scenario, overrides: Sequence[str] = (), **changes: Any
    ) -> Scenario:
        """Read and check a scenario.

        Args:
            scenario: a YAML file, the same keys as a mapping, or a scenario to change.  From Python, ``data`` may
                be a data source or :class:`DataSet`, ``strategy`` a :class:`Strategy` class or object.
            overrides: assignments ``a.b=value``, as of ``--set``.
            changes: keys to replace; ``seed=1``, or ``**{"stream.step": 5}``.

        Raises:
            ConfigError: anything is wrong.
        """
        try:
            if isinstance(scenario, Scenario):
                document, folder, name = scenario.document.copy(), scenario.folder, scenario.name
            elif isinstance(scenario, Mapping):
                document, folder, name = Document(dict(scenario), "scenario"), None, "scenario"
            else:
                path = _path(scenario)
                document, folder = read(path), path.resolve().parent
                name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:80] or "scenario"
            for assignment in overrides:
                document.override(assignment)
            for key, value in changes.items():
                document.assign(key.split("."), value, f"{key}={shown(value)}")
        except SourceError as error:
            raise ConfigError(str(error)) from None
        try:
            return _Check(document, folder, name).scenario()
        except Problems as error:
            raise ConfigError("\n".join(document.locate(p) for p in error.problems)) from None

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved scenario as plain data; loading it again gives the same scenario.

        Seeds that follow from the root seed are left out.
        """
        sections = {key: dataclasses.asdict(getattr(self, key)) for key in ("memory", "training", "evaluate")}
        parts = {"data": self.data, "stream": _without(self.stream, self.derived), "strategy": self.strategy}
        return {"name": self.name, **parts, **sections, "seed": self.seed, "device": self.device}

    @property
    def id(self) -> str:
        """Hash of the resolved scenario: 12 hexadecimal digits."""
        text = json.dumps(self.to_dict(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @functools.cached_property
    def exposures(self) -> list[Exposure]:
        """What each experience exposes."""
        return exposures(self.labels.train, self.plan)

    @functools.cached_property
    def identity(self) -> dict[str, str | None]:
        """What must be the same for a run to be continued: its configuration, stream, data and code."""
        return {
            "run": self.id,
            "fingerprint": self.plan.fingerprint,
            "data": data_identity(self.source),
            "code": code_identity(self.strategy_class),
        }

    def budget(self) -> Budget | None:
        """Return the memory budget, or None for no limit."""
        options = self.memory.budget
        if not isinstance(options, dict):
            return Budget.from_options(self.memory, self.labels.sample_bytes)
        holds = self.reference_bytes() or []
        limits = [holds[-1]] * len(holds) if options["align"] == "final" else holds
        return Budget(limits[-1], self.memory.counted, "everything", self.labels.sample_bytes, limits=tuple(limits))

    def reference_bytes(self) -> list[int] | None:
        """Return what the method that the budget is aligned to holds after each experience; None without one."""
        options = self.memory.budget
        if not isinstance(options, dict):
            return None
        new = [len(exposure.new_classes) for exposure in self.exposures]
        return reference_bytes(options, self.labels.shape, new, self.memory.counted)


def _path(scenario: str | Path) -> Path:
    try:
        return Path(scenario)
    except TypeError:
        what = "allowed: the path of a scenario file, a mapping of its keys, or a Scenario"
        raise SourceError(f"scenario: got {shown(scenario)}; {what}") from None


def data_identity(source: DataSource) -> str | None:
    """Return a digest of the data where its options alone do not determine it, else None."""
    identity = getattr(source, "identity", None)
    return str(identity()) if identity else None


def code_identity(strategy_class: type[Strategy]) -> str | None:
    """Return the SHA-256 of a user's strategy module; None for the package's own and for what has no file."""
    source = getattr(sys.modules.get(strategy_class.__module__), "__file__", None)
    if strategy_class.__module__.startswith("cl_engine.") or not source:
        return None
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()


def recipe_of(scenario: Scenario) -> Recipe:
    """Return what the scenario's strategy is built and rebuilt from, with ``exemplars: fixed`` worked out."""
    device = scenario.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    recipe = Recipe(
        strategy_class=scenario.strategy_class,
        options=_options(scenario.strategy),
        exposures=scenario.exposures,
        shape=scenario.labels.shape,
        training=scenario.training,
        device=torch.device(device),
        seed=scenario.seed,
        budget=scenario.budget(),
        online=scenario.stream["delivery"] == "online",
        boundaries=scenario.plan.boundaries,
        model_dtype=scenario.memory.model_dtype,
    )
    if recipe.budget is None or scenario.memory.exemplars == "fill":
        return recipe
    fixed = dataclasses.replace(recipe.budget, fixed=fixed_exemplars(recipe))
    return dataclasses.replace(recipe, budget=fixed)


def _options(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a resolved part, without its kind."""
    return {k: v for k, v in part.items() if k != "kind"}


def _without(stream: Mapping[str, Any], derived: frozenset[str]) -> dict[str, Any]:
    """Leave out the seeds that follow from the root seed, so that they still do when that is changed."""
    kept = {k: v for k, v in stream.items() if not (k == "seed" and k in derived)}
    modifiers = {name: {k: v for k, v in kept[name].items() if k != "seed"} for name in derived - {"seed"}}
    return {**kept, **modifiers}


class _Check:
    """The steps from a tree of plain data (and, from Python, objects) to a scenario."""

    def __init__(self, document: Document, folder: Path | None, name: str) -> None:
        self.document, self.folder, self.source = document, folder, None
        tree = document.tree
        if hasattr(tree.get("data"), "load"):  # a data source object
            self.source = tree["data"]
            tree = {**tree, "data": "digits"}  # stands in while the other keys are checked
        strategy = tree.get("strategy")
        if isinstance(strategy, Strategy):
            tree = {**tree, "strategy": {"kind": type(strategy), **strategy.options}}
        elif isinstance(strategy, type):
            tree = {**tree, "strategy": {"kind": strategy}}
        self.tree = tree
        self.keys = validate(_keys, tree, folder)
        self._plain("strategy")
        self.name = self.keys["name"] or name

    def scenario(self) -> Scenario:
        (stream, derived), strategy_class = self._stream(), self._strategy_class()
        self._device()
        source = self.source or self._source()
        labels = self._labels(source)
        scenario = Scenario(
            name=self.name,
            data=self._data(source),
            stream=stream,
            strategy=self.keys["strategy"],
            memory=self._memory(),
            training=Training(**self.keys["training"]),
            evaluate=Evaluate(**self.keys["evaluate"]),
            seed=self.keys["seed"],
            device=self.keys["device"],
            derived=derived,
            document=self.document,
            folder=self.folder,
            source=source,
            labels=labels,
            plan=self._plan(stream, labels),
            strategy_class=strategy_class,
        )
        self._budget_and_strategy(scenario)
        return scenario

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
            with _blaming(("memory", "budget")):
                options["budget"] = validate(reference, options["budget"], self.folder)
        if options["policy"] == []:
            raise Problems(
                [Problem(("memory", "policy"), "counts nothing; allowed: full, paper or a list of kinds")]
            )
        return MemoryOptions(**options)

    def _device(self) -> None:
        if self.keys["device"] == "cuda" and not torch.cuda.is_available():
            raise Problems([Problem(("device",), "this machine has no usable CUDA device; allowed: auto or cpu")])

    def _source(self) -> DataSource:
        target = self._target("data", "data")
        with _blaming(("data",)):
            source = target(**_options(self.keys["data"]))
        if not (hasattr(source, "load") and hasattr(source, "labels")):
            what = f"{shown(self.keys['data']['kind'])} has no labels() and load(), so it is no data source"
            raise Problems([Problem(("data", "kind"), what)])
        found: DataSource = source
        return found

    def _labels(self, source: DataSource) -> Labels:
        with _blaming(("data", "path") if "path" in self.keys["data"] else ("data",)):
            return source.labels()

    def _data(self, source: DataSource) -> dict[str, Any]:
        if self.source is None:
            return dict(self.keys["data"])
        return {"kind": "object", "sha256": data_identity(source) or source.load().identity()}

    def _plan(self, stream: Mapping[str, Any], labels: Labels) -> StreamPlan:
        family, common = self._target("stream", "streams"), options_model(every_stream).model_fields
        own = {k: v for k, v in _options(stream).items() if k not in common}
        modifiers = {name: stream[name] for name in MODIFIERS if stream[name] is not None}
        with _blaming(("stream",)):
            plan = compose(labels.train, family, own, modifiers, stream.get("seed", 0), stream["empty"])
        with _blaming(("stream", "transform")):
            sample = torch.zeros(1, *labels.shape, dtype=sample_dtype(labels.shape))
            for transform in plan.transforms or ():
                apply(transform, sample)
        return plan

    def _budget_and_strategy(self, scenario: Scenario) -> None:
        with _blaming(("memory", "budget")):
            scenario.budget()
        # The first `begin` shows whether the strategy can be built for this data at all.
        with _blaming(("strategy",)):
            recipe = recipe_of(scenario)
            begin(rebuild(recipe, 0), recipe.task(0))


class _blaming:
    """Turn whatever a part raises while it is built into a problem with its key."""

    def __init__(self, where: tuple[str, ...]) -> None:
        self.where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
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
