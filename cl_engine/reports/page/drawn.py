"""Every chart of the page as a specification, with what it is a chart of: for the page, and for files."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from cl_engine.reports.page.charts import curves as curve_charts
from cl_engine.reports.page.charts import ledger as ledger_charts
from cl_engine.reports.page.charts.drawing import Spec
from cl_engine.reports.page.charts.grid import grid
from cl_engine.reports.page.charts.over_time import over_time
from cl_engine.reports.page.charts.pareto import pareto as pareto_chart
from cl_engine.reports.page.contest import METRICS, REFERENCES, Contest, Entrant, contests, scenarios_of
from cl_engine.reports.page.palette import Look
from cl_engine.reports.text import size
from cl_engine.statistics import Point, pareto

SCENARIOS = 6  # whose streams are followed; the tables have all
LEDGERS = 20  # strategies whose ledger is drawn; in a crowd those that may be the best come first


@dataclass(frozen=True)
class Shown:
    """The frames, what was computed from them, and the look of every strategy by its label."""

    runs: Any
    experiences: Any
    curves: Any
    matrices: Any
    entrants: Sequence[Entrant]
    contests: Sequence[Contest]
    looks: Mapping[str, Look]

    @property
    def scenarios(self) -> list[str]:
        """Return the tasks that were run; one, without a name, where there are not several."""
        return scenarios_of(self.runs)

    @property
    def drawn_scenarios(self) -> list[str]:
        """Return those whose accuracy along the stream, matrices and ledgers are shown."""
        return self.scenarios[:SCENARIOS]

    @functools.cached_property
    def by_scenario(self) -> list[list[Contest]]:
        """Return the contests of each scenario alone."""
        return [contests(self.runs[self.runs["scenario"] == name], self.entrants) for name in self.scenarios]

    def alone(self, contest: Contest) -> list[Contest]:
        """Return what a contest is in each scenario alone."""
        both = contest.policy, contest.metric
        return [c for own in self.by_scenario for c in own if (c.policy, c.metric) == both]

    @property
    def places(self) -> dict[str, int]:
        """Return the position of each label."""
        return {label: i for i, label in enumerate(self.looks)}

    @property
    def plot(self) -> tuple[int, int]:
        """Return the pixels of a chart: two policies stand beside each other."""
        return curve_charts.WIDE if len(self.policies) == 1 else curve_charts.HALF

    @property
    def policies(self) -> list[str]:
        """Return the policies that budgets were enforced under."""
        return list(dict.fromkeys(c.policy for c in self.contests))

    def strong(self, policy: str) -> set[str]:
        """Return who is drawn at full strength under a policy, by either metric."""
        return {label for c in self.contests if c.policy == policy for label in c.emphasised()}


def curve_words(shown: Shown, contest: Contest) -> str:
    """Return what a chart of curves shows, with what its bands are."""
    strong = len(contest.emphasised() & set(shown.looks))
    crowd = "" if strong == len(shown.looks) else " Faint: cannot be the best within any budget."
    n = len(contest.seeds)
    over = f", mean over {len(contest.scenarios)} scenarios" if len(contest.scenarios) > 1 else ""
    band = f"Bands: 95 % t interval over {n} seeds." if n > 1 else "One seed: no interval."
    return (
        f"{METRICS[contest.metric].capitalize()} within a budget counted as {contest.policy}{over}. {band}{crowd}"
    )


def paretos(shown: Shown, contest: Contest) -> Iterator[tuple[str, str, Spec]]:
    """Yield the policy that counts the bytes, a caption, and the chart.

    The first is the contest's policy; where no other has a contest the other follows.
    """
    counted = [contest.policy] if contest.policy in ("full", "paper") else ["full"]
    if len(shown.policies) == 1:
        counted += [name for name in ("full", "paper") if name not in counted]
    for policy in counted:
        points = {
            key: Point(standing.held[policy], standing.seeds)
            for key, standing in contest.standings.items()
            if standing.seeds and standing.held[policy] >= 0
            and shown.looks[key[0]].family != REFERENCES
        }  # fmt: skip
        if not points:
            continue
        marks = {key: {"front": "front", "may be": "open", "out": "out"}[m] for key, m in pareto(points).items()}
        other = (
            "" if policy == contest.policy else f"; budgets were enforced as {contest.policy}, so no ranking here"
        )
        title = f"{METRICS[contest.metric].capitalize()} over bytes held at most, counted as {policy}{other}."
        yield policy, title, pareto_chart(contest, shown.looks, policy, marks, shown.plot)


def grids(shown: Shown, contest: Contest) -> Iterator[tuple[int, str, Spec]]:
    """Yield budget in bytes (0 for none), a caption, and all strategies in all scenarios, if these are several."""
    if len(shown.scenarios) < 2:
        return
    alone = shown.alone(contest)
    for budget in contest.budgets:
        found = {
            label: {
                part.scenarios[0]: standing.estimate.mean
                for part in alone
                if (standing := part.standings.get((label, budget))) and standing.estimate
            }
            for label in shown.looks
        }
        done = {label: row for label, row in found.items() if row}
        if done:
            order = sorted(done, key=lambda label: (-len(done[label]), -sum(done[label].values())))
            names = [part.scenarios[0] for part in alone]
            title = f"{METRICS[contest.metric].capitalize()} in percent, {limit(budget)}"
            yield budget, f"{title}, policy {contest.policy}.", grid({k: done[k] for k in order}, names, title)


def lines_by_budget(shown: Shown, frame: Any, along: str, title: str) -> Iterator[tuple[str, str, int, str, Spec]]:
    """Yield scenario, policy, budget in bytes (0 for none), a caption, and the chart of accuracy over ``along``."""
    means = (
        frame.dropna(subset=["accuracy"])
        .groupby(["scenario", "policy", "budget", "label", along], sort=False)["accuracy"]
        .agg(["mean", "size"])
        .reset_index()
        .rename(columns={"mean": "accuracy", "size": "seeds"})
    )
    plot = (shown.plot[0], 250)
    for task, policy in product(shown.drawn_scenarios, shown.policies):
        own = means[(means["policy"] == policy) & (means["scenario"] == task)]
        for budget, rows in own.groupby("budget"):
            spec = over_time(rows, shown.looks, shown.strong(policy), along, title, plot)
            what = f", {task}" if task else ""
            yield task, policy, int(budget), f"By {title}, {limit(int(budget))}, policy {policy}{what}.", spec


def samples_of(shown: Shown) -> Any:
    """Return the points of evaluation by samples, or None where there are no more than experiences."""
    if len(shown.curves) <= len(shown.experiences):
        return None
    frame = with_cells(shown, shown.curves)
    return frame if len(frame) > len(with_cells(shown, shown.experiences)) else None


def ledgers(shown: Shown) -> Iterator[tuple[str, str, str, Spec]]:
    """Yield scenario, policy, label and the chart of what is held, by kind; mean over seeds."""
    kinds = ledger_charts.kinds_of(shown.experiences)
    columns = [f"held.{kind}" for kind in kinds]
    means = (
        with_cells(shown, shown.experiences)
        .fillna(dict.fromkeys(columns, 0.0))  # what a ledger does not name is not held: it counts in the mean
        .groupby(["scenario", "policy", "label", "budget", "experience"], sort=False)[[*columns, "peak"]]
        .mean()
        .reset_index()
    )
    for task, policy in product(shown.drawn_scenarios, shown.policies):
        strong = shown.strong(policy)
        own = means[(means["policy"] == policy) & (means["scenario"] == task)]
        for label in [label for label in shown.looks if label in strong][:LEDGERS]:
            rows = own[own["label"] == label]
            if len(rows):
                budgets = sorted(int(b) for b in rows["budget"].unique())
                yield task, policy, label, ledger_charts.ledger(rows, budgets, kinds, label)


def with_cells(shown: Shown, frame: Any) -> Any:
    """Return a frame of parts with label, policy and budget (0 for none) of the run of each row."""
    keys = shown.runs[["run", "label", "scenario", "policy", "budget_bytes", "seed"]]
    keys = keys.assign(budget=keys["budget_bytes"].fillna(0).astype("int64"))
    known = ("label", "scenario", "policy", "budget_bytes", "budget", "seed")
    own = frame.drop(columns=[c for c in known if c in frame])
    return own.merge(keys.drop(columns="budget_bytes"), on="run")


def limit(budget: int) -> str:
    """Return a budget in words; 0 is none."""
    return f"budget {size(budget)}" if budget else "no budget"
