"""The answer in words: who is best under which budget, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import Any

from cl_engine.errors import InputError
from cl_engine.reports.page.contest import METRICS, Contest, contests
from cl_engine.reports.page.whole_range import MIB, SCALES, areas_of, best_by, curves_of, inside
from cl_engine.reports.text import decimal, size
from cl_engine.statistics import Crossing, crossing, sampling_error, strength

NAMED = 3  # names that a sentence lists before it counts


def winners(contest: Contest) -> list[str]:
    """Return a sentence for each stretch of budgets with one leader and one set of those that may be the best."""

    def alike(b: int) -> tuple[Any, ...]:
        return contest.leaders(b), contest.higher(b), set(contest.best(b)), _alone(contest, b)

    return [_winner(contest, leaders, list(budgets)) for (leaders, *_), budgets in groupby(contest.budgets, alike)]


def scenarios(contest: Contest, runs: Any) -> list[str]:
    """Return who leads in each scenario within the largest budget, where accuracies are means over several."""
    if len(contest.scenarios) < 2:
        return []
    budget = contest.budgets[-1]
    leading: dict[tuple[str, ...], list[str]] = {}
    own = runs[runs["policy"].astype(str) == contest.policy]
    for name in contest.scenarios:
        alone = next(
            c for c in contests(own[own["scenario"] == name], contest.entrants) if c.metric == contest.metric
        )
        leading.setdefault(tuple(alone.leaders(budget)), []).append(name)
    each = [f"{_counted(who)} in {_counted(names)}" for who, names in leading.items() if who]
    if len(leading) == 1:
        each = [f"{_counted(who)} in each of them" for who in leading if who]
    mean = f"These are means over {len(contest.scenarios)} scenarios"
    return [f"{mean}; the highest {_within([budget])}: {', '.join(each)}." if each else f"{mean}."]


def crossings(contest: Contest) -> list[str]:
    """Return where the lead changes hands; where one leads throughout, whether the next ever catches up."""
    stretches: list[list[str]] = []  # who leads within all of its budgets: a lead that is shared changes no hands
    for shared in filter(None, map(contest.leaders, contest.budgets)):
        still = [name for name in stretches[-1] if name in shared] if stretches else []
        stretches[-1:] = [still] if still else [*stretches[-1:], shared]
    leaders = [names[0] for names in stretches]
    pairs = list(dict.fromkeys(pairwise(leaders)))
    if len(contest.budgets) < 2 or not leaders:
        return []
    if not pairs:
        second = _runner_up(contest, leaders[0])
        pairs = [(leaders[0], second)] if second else []
    found = []
    curves = curves_of(contest)
    for a, b in pairs:
        try:
            found.append(crossing_words(a, b, inside(crossing(curves[a], curves[b]))))
        except InputError:
            continue  # no two budgets or no seed in common
    return found


def crossing_words(a: str, b: str, found: Crossing) -> str:
    """Return a sentence about where two curves cross: nowhere, once or more often."""
    if not found.zeros:
        better = a if found.above > 0 else b if found.above < 0 else None
        lead = f"{better} is above {b if better == a else a} throughout: " if better else f"{a} and {b}: "
        return f"{lead}no crossing inside the measured budgets."
    if len(found.zeros) == 1:
        low, high = (b, a) if found.above > 0 else (a, b)
        pieces = [piece for piece in found.pieces if piece.zeros]
        sure = f" (95 %: {span(pieces[0])})" if pieces else " (one seed: no interval)"
        text = f"{low} is better below about {size(found.zeros[0] * MIB)}, {high} above{sure}"
    else:
        text = f"{a} and {b} cross {len(found.zeros)} times, at about " + _listed(
            size(z * MIB) for z in found.zeros
        )
    others = [span(piece) for piece in found.pieces if not piece.zeros]
    return text + (f"; also not separable: {_listed(others)}" if others else "") + "."


def span(piece: Any) -> str:
    """Return an interval of budgets in words; an end of what was measured is no limit."""
    low, high = size(piece.low * MIB), size(piece.high * MIB)
    if piece.open_low and piece.open_high:
        return "anywhere, or outside what was measured"
    if piece.open_low:
        return f"{low} or less to {high}"
    if piece.open_high:
        return f"{low} to {high} or more"
    return f"{low} to {high}"


def whole_range(contest: Contest) -> list[str]:
    """Return who leads by the area under the curve, over linear and over log budgets."""
    found = areas_of(contest)
    (linear, may_linear), (log, may_log) = (best_by(found, scale) for scale in SCALES)
    if not linear or not log or len(found) < 2:
        return []
    text = f"By AUC over the whole range {_counted(linear)} {'lead' if len(linear) > 1 else 'leads'}"
    if linear == log:
        text += ", weighted by log budget too"
    else:
        text += f"; weighted by log budget {_counted(log)} {'do' if len(log) > 1 else 'does'}"
        if set(may_linear) & set(may_log):
            text += ", but the seeds do not separate the two orders"
    others = [name for name in may_linear if name not in linear]
    if linear == log and others:
        text += f"; {_counted(others)} may be as good or better"
    return [f"{text}."]


def policies(first: Contest, second: Contest) -> list[str]:
    """Return where the policy that counts bytes changes who is best."""
    shared = [budget for budget in first.budgets if budget in second.budgets]
    judged = [b for b in shared if first.best(b) and second.best(b)]
    if not judged:
        return []
    disjoint = [b for b in judged if not set(first.best(b)) & set(second.best(b))]
    stretches = groupby(disjoint, lambda b: (first.leaders(b), second.leaders(b)))
    found = [
        f"{_counting(first.policy)}, {_counted(one)} {'lead' if len(one) > 1 else 'leads'} "
        f"{_within(list(budgets))}; {_counting(second.policy, False)}, {_counted(two)}."
        for (one, two), budgets in stretches
    ]
    if not found:
        return ["The policy does not change who may be best."]
    if len(disjoint) < len(judged):
        found.append("Within the other budgets the policy does not change who may be best.")
    return found


def cautions(contest: Contest, runs: Any, tested: int | None) -> list[str]:
    """Return what limits the answer: seeds, failures, what the seeds vary, and the size of the test set."""
    found = []
    most = max((len(s.seeds) for s in contest.standings.values()), default=0)
    if most == 1:
        found.append("One seed: the order may be noise.")
    elif most and strength(most):
        found.append(f"{most} seeds are {strength(most)}.")
    counts = {status: int((runs["status"] == status).sum()) for status in ("failed", "unfinished", "impossible")}
    words = {"failed": "failed", "unfinished": "did not finish", "impossible": "impossible within their budget"}
    gone = [(n, status) for status, n in counts.items() if n]
    if gone:
        parts = []
        for k, (n, status) in enumerate(gone):
            verb = (" is " if n == 1 else " are ") if status == "impossible" else " "
            parts.append(f"{n}{f' of {len(runs):,} runs' if not k else ''}{verb}{words[status]}")
        found.append(f"{', '.join(parts)}; see the list.")
    if most > 1 and (same := fixed_stream(runs)) is not None:
        found.append(
            "The stream is the same for every seed: intervals show training noise, not the class order."
            if same
            else "Every seed has its own stream of one class order: intervals do not include the class order."
            if fixed_stream(runs, "classes_fingerprint")
            else "Every seed has its own stream: intervals include the order of the stream."
        )
    leader = contest.leader(contest.budgets[-1])
    if tested and leader:
        estimate = contest.standings[leader, contest.budgets[-1]].estimate
        if estimate and 0 <= estimate.mean <= 1:
            error = 1.96 * sampling_error(estimate.mean, tested)
            if error < 0.0005:
                return found
            found.append(
                f"The test set has {tested:,} samples: at {_percent(estimate.mean)} that alone leaves "
                f"± {error * 100:.1f} points on one accuracy, and less on a difference."
            )
    return found


def fixed_stream(runs: Any, column: str = "fingerprint") -> bool | None:
    """Tell whether all seeds of each cell saw one stream; None where some did, or nothing is known.

    Args:
        runs: the frame of runs.
        column: what tells streams apart; ``classes_fingerprint`` looks at their class order alone.
    """
    if column not in runs:
        return None
    done = runs[runs["status"] == "done"]
    keys = [key for key in ("name", "label", "policy", "scenario") if key in done]
    budget = done["budget_bytes"].fillna(0)
    groups = done.assign(_budget=budget).groupby([*keys, "_budget"])[column]
    seeds, streams = groups.size(), groups.nunique()
    several = streams[(seeds > 1) & (streams > 0)]
    if not len(several):
        return None
    if (several == 1).all():
        return True
    return False if (several == seeds[several.index]).all() else None


def answer(found: Sequence[Contest], runs: Any, tested: int | None = None) -> list[tuple[str, list[str]]]:
    """Return the answer as paragraphs of sentences, each with a heading (empty where it needs none).

    Args:
        found: the contests of each policy and metric.
        runs: the frame of runs.
        tested: samples in the test set, where known.
    """
    main = [contest for contest in found if contest.metric == next(iter(METRICS))]
    paragraphs = []
    for contest in main:
        sentences = [*winners(contest), *scenarios(contest, runs), *crossings(contest), *whole_range(contest)]
        paragraphs.append((_counting(contest.policy) if len(main) > 1 else "", sentences))
    if len(main) > 1:
        for other in main[1:]:
            paragraphs.append(("Policies", policies(main[0], other)))
    elif main:
        paragraphs.append(("", [one_policy(main[0])]))
    if main:
        paragraphs.append(("How sure", cautions(main[0], runs, tested)))
    return [(heading, sentences) for heading, sentences in paragraphs if sentences]


def one_policy(contest: Contest) -> str:
    """Say that budgets were enforced under one policy alone."""
    if contest.budgets == [0]:
        return "No budget was set: strategies are compared by what they reached and what they held."
    return (
        f"Budgets were enforced {_counting(contest.policy, False)}; under the other policy there is no ranking "
        "within a budget, only the view on its bytes."
    )


def _winner(contest: Contest, leaders: list[str], budgets: list[int]) -> str:
    where = _within(budgets, True)
    if not leaders:
        scenarios = len(contest.scenarios)
        what = f"has run in all {scenarios} scenarios" if scenarios > 1 else "can be ranked"
        return f"{where}, no strategy {what}."
    first = budgets[0]
    few = _seeds(contest, leaders[0], first)
    score = f"{METRICS[contest.metric]} ({_reached(contest, leaders[0], budgets)}{few})"
    if _alone(contest, first):
        return f"{where}, {leaders[0]} is the only strategy with a rank: {score}."
    higher = contest.higher(first)
    verb = "has" if len(leaders) == 1 else "share"
    among = f"of those with all {len(contest.seeds)} seeds " if higher else ""
    text = f"{where}, {among}{_counted(leaders)} {verb} the highest {score}"
    if higher:
        above = [f"{name} ({_reached(contest, name, budgets)}{_seeds(contest, name, first)})" for name in higher]
        text += f"; {_counted(above)} {'is' if len(above) == 1 else 'are'} higher on fewer seeds"
    estimate = contest.standings[leaders[0], first].estimate
    n = estimate.n if estimate else 0
    if n == 1:
        return f"{text}; with one seed nothing is said about noise."
    others = [name for name in contest.best(first) if name not in leaders and name not in higher]
    if others:
        return f"{text}; with {n} seeds {_counted(others)} may be as good or better."
    if higher or not set(leaders) <= set(contest.best(first)):
        return f"{text}."
    return f"{text}, significantly above every other strategy."


def _reached(contest: Contest, label: str, budgets: Sequence[int]) -> str:
    estimates = [e for b in budgets if (e := contest.standings[label, b].estimate)]
    return " to ".join(dict.fromkeys(_percent(e.mean) for e in (estimates[0], estimates[-1])))


def _seeds(contest: Contest, label: str, budget: int) -> str:
    """Return how many seeds stand behind a number, where some are missing."""
    if contest.complete(label, budget):
        return ""
    return f", {len(contest.standings[label, budget].seeds)} of {len(contest.seeds)} seeds"


def _alone(contest: Contest, budget: int) -> bool:
    return sum(_ranked(contest, e.label, budget) for e in contest.ranked) == 1


def _ranked(contest: Contest, label: str, budget: int) -> bool:
    standing = contest.standings.get((label, budget))
    return bool(standing and standing.rank and standing.rank.rank)


def _runner_up(contest: Contest, leader: str) -> str | None:
    last = contest.budgets[-1]
    others = [e.label for e in contest.ranked if e.label != leader and _ranked(contest, e.label, last)]

    def mean(label: str) -> float:
        estimate = contest.standings[label, last].estimate
        return estimate.mean if estimate else -1.0

    return max(others, key=mean, default=None)


def _within(budgets: list[int], start: bool = False) -> str:
    if budgets == [0]:
        return "Without a budget" if start else "without a budget"
    if len(budgets) == 1:
        return f"{'Within' if start else 'within'} {size(budgets[0])}"
    return f"{'From' if start else 'from'} {size(budgets[0])} to {size(budgets[-1])}"


def _counting(policy: str, start: bool = True) -> str:
    words = {"full": "counting everything held", "paper": "counted as the MEMO paper counts"}
    text = words.get(policy, f"counted under the policy {policy}")
    return text[0].upper() + text[1:] if start else text


def _counted(names: Sequence[str]) -> str:
    """Return names as a list that counts what it does not name.

    >>> _counted(["a", "b", "c", "d", "e"]), _counted(["a", "b"])
    ('a, b, c and 2 more', 'a and b')
    """
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    return _listed(names)


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _percent(fraction: float) -> str:
    return f"{decimal(fraction * 100, 1)} %"
