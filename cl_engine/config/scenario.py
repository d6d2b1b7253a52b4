"""A scenario: what the YAML file says, checked as a whole before anything runs."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from cl_engine.config.checks import Check, blaming, options_of
from cl_engine.config.common import Common
from cl_engine.config.document import Document, SourceError, read
from cl_engine.config.galleries import Galleries, check_comparable
from cl_engine.config.identity import code_identity, data_identity, user_modules
from cl_engine.config.keys import Evaluate
from cl_engine.config.least import shortage
from cl_engine.config.observable import check_observable
from cl_engine.config.recipe import departures, with_recipe
from cl_engine.config.service import Serving
from cl_engine.data.normalisation import Normalisation, normalisation
from cl_engine.data.samples import DataSource, Labels
from cl_engine.errors import InputError
from cl_engine.evaluation.analyses import Analysis
from cl_engine.kinds.problems import Problem, Problems, did_you_mean, shown
from cl_engine.memory.alignment.reference import reference_bytes
from cl_engine.memory.budget import SAMPLE_KINDS, Budget, MemoryOptions
from cl_engine.memory.ledger import KINDS, Entry, ledger
from cl_engine.scenarios import REDUCTIONS
from cl_engine.scenarios.exposure import Exposure, exposures
from cl_engine.scenarios.plan import StreamPlan
from cl_engine.scenarios.shipped import find, shipped
from cl_engine.strategies.rebuilding import Rebuilder
from cl_engine.strategies.strategy import Strategy
from cl_engine.terms.received import Received
from cl_engine.terms.terms import Terms
from cl_engine.terms.training import Training

LIKELY = 0.8  # how alike a kind that nothing has and one that there is must be for the one to be misspelt


class ConfigError(InputError):
    """The scenario is wrong; one line per problem, ``FILE:LINE:COL: key: what is wrong; what is allowed``."""


@dataclass(frozen=True, eq=False)
class Scenario:
    """A scenario that passed every check that can be made without training.

    Make one with :meth:`load`.  ``data``, ``stream`` and ``strategy`` are mappings ``{"kind": ..., options}`` with
    every default filled in.
    """

    name: str
    recipe: str | None
    data: dict[str, Any]
    stream: dict[str, Any]
    strategy: dict[str, Any]
    memory: MemoryOptions
    training: Training
    evaluate: Evaluate
    galleries: Galleries | None = field(repr=False)
    service: Serving | None = field(repr=False)
    received: tuple[Received, ...]
    analyses: tuple[Analysis, ...]
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
        cls,
        scenario: str | Path | Mapping[str, Any] | Scenario,
        overrides: Sequence[str] = (),
        common: Common | None = None,
        /,  # so that a key of these names is one that does not exist, and no fault of the program
        **changes: Any,
    ) -> Scenario:
        """Read and check a scenario.

        Args:
            scenario: a YAML file, the name of a shipped one, the same keys as a mapping, or a scenario to change.
                From Python, ``data`` may be a data source or :class:`DataSet`, ``strategy`` a :class:`Strategy`
                class or object.
            overrides: assignments ``a.b=value``, as of ``--set``.
            common: parts that other scenarios were loaded with; used again, and added to.
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
        whole = document
        try:
            whole = with_recipe(document)
            made = cls(document=document, **Check(whole, folder, name, common).parts())
            made._check_by_beginning()
            return made
        except Problems as error:
            raise _located(whole, error) from None

    def shortage(self) -> str | None:
        """Say why the budget cannot be kept, by what the strategy holds without having seen a sample, or None.

        Raises:
            ConfigError: the strategy cannot be begun for all experiences.
        """
        try:
            with blaming(("strategy",)):
                found = shortage(self.rebuilder(self.terms(dry=True)))
        except Problems as error:
            raise _located(self.document, error) from None
        return found.words(self.memory.counted) if found else None

    def check_budget(self) -> None:
        """See whether the budget can be kept at all.

        Raises:
            ConfigError: it cannot, whatever the samples are.
        """
        if words := self.shortage():
            raise _located(self.document, Problems([Problem(("memory", "budget"), words)]))

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved scenario as plain data; loading it again gives the same scenario.

        Seeds that follow from the root seed are left out.
        """
        sections: dict[str, Any] = {
            key: dataclasses.asdict(getattr(self, key)) for key in ("memory", "training", "evaluate")
        }
        if not self.evaluate.probes:  # what looks at nothing names no run
            sections["evaluate"] = _without_probes(sections["evaluate"])
        if self.galleries is None:
            del sections["evaluate"]["compatibility"]
        if self.service is not None:
            sections["service"] = dict(self.service.options)
        if self.received:
            sections["replace"] = [model.plain() for model in self.received]
        if self.analyses:
            sections["analyses"] = list(self.analyses)
        parts = {"data": self.data, "stream": _without(self.stream, self.derived), "strategy": self.strategy}
        named = {"name": self.name, **({"recipe": self.recipe} if self.recipe else {})}
        return {**named, **parts, **sections, "seed": self.seed, "device": self.device}

    def departures(self) -> list[str] | None:
        """Return the dotted keys whose values are not those of the recipe; None without one."""
        return departures(self.recipe, self.to_dict()) if self.recipe else None

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
            # Data that is an object was hashed when the scenario was loaded.
            "data": self.data["sha256"] if self.data["kind"] == "object" else data_identity(self.source),
            "code": code_identity(self.sources),
        }

    @property
    def sources(self) -> list[Path]:
        """The files of the modules that the user's own kinds come from."""
        return user_modules([self.to_dict()])

    def terms(self, *, dry: bool = False) -> Terms:
        """Return the terms of a run, with ``exemplars: fixed`` worked out; ``dry`` ones need no sample."""
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        terms = Terms(
            exposures=tuple(self.exposures),
            shape=self.labels.shape,
            training=self.training,
            device=device,
            seed=self.seed,
            budget=self.budget(),
            online=self.stream["delivery"] == "online",
            boundaries=self.plan.boundaries,
            model_dtype=self.memory.model_dtype,
            normalisation=self._any_normalisation() if dry else self.normalisation,
            dry=dry,
            extractor=self.extractor,
            evaluate_every=self.evaluate.samples,
            received=self.received,
        )
        if terms.budget is None or self.memory.exemplars == "fill":
            return terms
        fixed = dataclasses.replace(terms.budget, fixed=self.rebuilder(terms).fixed_exemplars())
        return dataclasses.replace(terms, budget=fixed)

    def rebuilder(self, terms: Terms) -> Rebuilder:
        """Return what builds the scenario's strategy."""
        return Rebuilder(self.strategy_class, options_of(self.strategy), terms)

    @functools.cached_property
    def normalisation(self) -> Normalisation | None:
        """Mean and deviation per channel that image values are standardised by; None: scaled to [-1, 1]."""
        given = self.training.normalise
        if isinstance(given, dict):
            return tuple(given["mean"]), tuple(given["deviation"])
        standardised = given == "data" and len(self.labels.shape) == 3
        return normalisation(self.source.load().train) if standardised else None

    @functools.cached_property
    def extractor(self) -> tuple[Entry, ...]:
        """The ledger of what makes features of the data's samples before any strategy sees them; mostly empty."""
        made = getattr(self.source, "extractor", None)
        return () if made is None else tuple(e._replace(name=f"extractor.{e.name}") for e in ledger(made()))

    def _any_normalisation(self) -> Normalisation | None:
        """Return one of the same shape, which is all that sizes depend on."""
        if self.training.normalise == "range" or len(self.labels.shape) != 3:
            return None
        return (0.5,) * self.labels.shape[0], (0.25,) * self.labels.shape[0]

    def _check_by_beginning(self) -> None:
        """See whether the strategy can be built for this data, and the budget be worked out."""
        with blaming(("memory", "budget")):
            self.budget()
        terms = self.terms(dry=True)
        with blaming(("strategy",)):
            rebuilder = self.rebuilder(dataclasses.replace(terms, received=()))
            signature = rebuilder.signature(1)
            if check_classes := getattr(self.strategy_class, "check_classes", None):
                check_classes(options_of(self.strategy), self.exposures[-1].seen_classes)
        if self.received:  # each file is to fit, before anything is trained
            with blaming(()):
                self.rebuilder(terms).signature(max(model.at for model in self.received) + 1)
        if self.analyses or self.evaluate.probes:
            looked_at = (self.analyses, self.evaluate.probes or ())
            check_observable(rebuilder.begun(1), str(self.strategy["kind"]), *looked_at)
        if self.galleries is not None:
            check_comparable(rebuilder.begun(1), str(self.strategy["kind"]))
        if self.service is not None:
            check_comparable(rebuilder.begun(1), str(self.strategy["kind"]), ("service",))
        held = {*SAMPLE_KINDS, *(declared.kind for declared in signature.declared.values())}
        self._check_policy(held)
        self._check_fixed(held)

    def _check_policy(self, held: set[str]) -> None:
        """Refuse what can only be a misspelt kind; a strategy of the user's own may have kinds like it."""
        if isinstance(self.memory.policy, str) or ":" in self.strategy["kind"]:
            return
        known = {*KINDS, *held}
        for place, kind in enumerate(self.memory.policy):
            if kind not in known and (meant := did_you_mean(kind, known, LIKELY)):
                what = (
                    f"nothing is held as {kind!r}{meant}; allowed: {', '.join(KINDS)}, or what the strategy charges"
                )
                raise Problems([Problem(("memory", "policy", place), what)])

    def _check_fixed(self, kinds: set[str]) -> None:
        """``exemplars: fixed`` is worked out without data, so it cannot count what exists only while training."""
        if self.memory.exemplars == "fill" or isinstance(self.memory.policy, str):
            return
        for kind in self.memory.policy:
            if kind not in kinds:
                what = f"fixed cannot count {kind!r}, which the strategy does not hold from its first experience on"
                what = f"{what}; allowed: fill, or {', '.join(sorted(kinds))}"
                raise Problems([Problem(("memory", "exemplars"), what)])

    def budget(self) -> Budget | None:
        """Return the memory budget, or None for no limit."""
        options = self.memory.budget
        if not isinstance(options, dict):
            return Budget.from_options(self.memory, self.labels.sample_bytes, self.extractor)
        holds = self.reference_bytes() or []
        limits = [holds[-1]] * len(holds) if options["align"] == "final" else holds
        return Budget(
            limits[-1],
            self.memory.counted,
            "everything",
            self.labels.sample_bytes,
            limits=tuple(limits),
            extractor=self.extractor,
        )

    def reference_bytes(self) -> list[int] | None:
        """Return what the method that the budget is aligned to holds after each experience; None without one."""
        options = self.memory.budget
        if not isinstance(options, dict):
            return None
        new = [len(exposure.new_classes) for exposure in self.exposures]
        return reference_bytes(options, self.labels.shape, new, self.memory.counted)


def _located(document: Document, error: Problems) -> ConfigError:
    return ConfigError("\n".join(document.locate(problem) for problem in error.problems))


def _without_probes(evaluate: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in evaluate.items() if not key.startswith("probe")}


def _path(scenario: str | Path) -> Path:
    try:
        path = find(scenario) if isinstance(scenario, str) else Path(scenario)
    except TypeError:
        what = "allowed: the path of a scenario file, a mapping of its keys, or a Scenario"
        raise SourceError(f"scenario: got {shown(scenario)}; {what}") from None
    if isinstance(scenario, str) and re.fullmatch(r"[\w-]+", scenario) and not path.exists():
        hint = did_you_mean(scenario, shipped())
        raise SourceError(
            f"{scenario}: there is no such file and no shipped scenario of this name{hint}; allowed: the path of a "
            "YAML file, or a name of `cl-engine list scenarios`"
        )
    return path


def _without(stream: Mapping[str, Any], derived: frozenset[str]) -> dict[str, Any]:
    """Leave out the seeds that follow from the root seed, so that they still do when that is changed.

    What reduces nothing names no run.
    """
    kept = {k: v for k, v in stream.items() if not (k == "seed" and k in derived)}
    kept = {k: v for k, v in kept.items() if not (k in REDUCTIONS and v is None)}
    modifiers = {name: {k: v for k, v in kept[name].items() if k != "seed"} for name in derived - {"seed"}}
    return {**kept, **modifiers}
