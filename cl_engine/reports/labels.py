"""What tells runs apart, in a few words: their methods by labels, their tasks as scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cl_engine.reports.text import leaves

SCENARIO = ("data", "stream")  # the parts of a configuration that say which task it is
TOLD_APART_BY_COLUMN = ("seed", "memory.budget", "memory.policy", "strategy", "strategy.kind")


class _Run(Protocol):
    """What is asked of a run; see :class:`cl_engine.reports.results.Found`."""

    @property
    def run(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def assignments(self) -> Mapping[str, Any]: ...
    @property
    def budget(self) -> int | None: ...
    @property
    def strategy(self) -> str: ...
    @property
    def seed(self) -> int: ...


def labels_of(runs: Sequence[_Run], swept: Sequence[str]) -> dict[str, str]:
    """Return by run what tells its method from the others: the strategy and the options that differ.

    Args:
        runs: all runs that are compared.
        swept: dotted keys that sweeps varied.
    """
    options = {run.run: leaves(run.config["strategy"], "strategy.") for run in runs}
    others = [key for key in swept if key not in TOLD_APART_BY_COLUMN and key.split(".")[0] not in SCENARIO]
    differing = _differing({run.run: (run.strategy, options[run.run]) for run in runs})
    labels = {}
    for run in runs:
        own = options[run.run]
        named = {key: own[key] for key in differing[run.run]}
        named |= {key: run.assignments[key] for key in others if key in run.assignments and key not in own}
        labels[run.run] = " ".join([run.strategy, *_words(named)])
    return _told_apart(runs, labels)


def scenarios_of(runs: Sequence[_Run]) -> dict[str, str]:
    """Return by run which task it is, in what its data and stream differ from others'; empty where all are one.

    Where every seed has a task of its own, seeds tell them apart already.
    """
    words: dict[str, list[str]] = {run.run: [] for run in runs}
    for part in SCENARIO:
        options = {run.run: leaves(run.config.get(part) or {}) for run in runs}
        kinds = {name: str(own.get("kind", "")) for name, own in options.items()}
        differing = _differing({name: (kinds[name], own) for name, own in options.items()})
        for name, own in options.items():
            kind = [kinds[name]] if len({*kinds.values()}) > 1 else []
            words[name] += [*kind, *_words({key: own[key] for key in differing[name]})]
    found = {name: " ".join(own) for name, own in words.items()}
    by_seed: dict[int, set[str]] = {}
    for run in runs:
        by_seed.setdefault(run.seed, set()).add(found[run.run])
    one_each = len(by_seed) > 1 and all(len(own) == 1 for own in by_seed.values())
    return dict.fromkeys(found, "") if one_each else found


def _told_apart(runs: Sequence[_Run], labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels with what no sweep varied, where runs of several folders would pass for one and the same."""
    scenarios = scenarios_of(runs)
    alike: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in runs:
        policy = str(run.config.get("memory", {}).get("policy"))
        place = (labels[run.run], policy, run.budget, run.seed, scenarios[run.run])
        alike.setdefault(place, []).append(leaves(run.config))
    more: dict[str, dict[str, None]] = {label: {} for label in labels.values()}
    for (label, *_), group in alike.items():
        keys = sorted(k for k in {*group[0]}.union(*group) if len({repr(own.get(k)) for own in group}) > 1)
        more[label] |= dict.fromkeys([key for key in keys if key != "name"] or keys)
    found = {}
    for run in runs:
        own = leaves(run.config)
        named = {key: own[key] for key in more[labels[run.run]] if key in own}
        found[run.run] = " ".join([labels[run.run], *_words(named)])
    return found


def _differing(options: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, list[str]]:
    """Return by run the options in which it differs from others of its kind, from ``{run: (kind, options)}``."""
    values: dict[tuple[str, str], set[str]] = {}
    for kind, own in options.values():
        for key, value in own.items():
            values.setdefault((kind, key), set()).add(repr(value))
    return {name: [key for key in own if len(values[kind, key]) > 1] for name, (kind, own) in options.items()}


def _words(options: Mapping[str, Any]) -> list[str]:
    """Return each option's name with its value; the kind of a part goes by the part's name."""
    return [f"{key.removesuffix('.kind').rpartition('.')[2]} {value}" for key, value in options.items()]
