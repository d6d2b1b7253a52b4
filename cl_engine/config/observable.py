"""Whether a strategy has the parts that analyses and probes look at."""

from __future__ import annotations

from collections.abc import Sequence

from cl_engine.evaluation.analyses import BRANCH_CKA
from cl_engine.evaluation.observing import representation, vertices_of
from cl_engine.kinds.problems import Problem, Problems
from cl_engine.models.anatomy import branches_of, learning_blocks
from cl_engine.strategies.strategy import Strategy


def check_observable(strategy: Strategy, kind: str, analyses: Sequence[str], probes: Sequence[str]) -> None:
    """Check a strategy that has begun its first experience.

    Args:
        strategy: the strategy.
        kind: what the scenario calls it.
        analyses: names of the analyses that are asked for.
        probes: names of the probes.

    Raises:
        Problems: it lacks what one of them looks at.
    """
    problems = []
    blocks, branches = learning_blocks(strategy), branches_of(strategy)
    for name in analyses:
        if name == BRANCH_CKA and not branches:
            what = f"compares the branches of an expandable strategy, and {kind} has none"
            allowed = "memo, der-expandable, or a strategy that has named_branches()"
        elif name != BRANCH_CKA and not blocks:
            what = f"looks at the blocks of a backbone that learns, and {kind} has none"
            allowed = "a strategy that trains its backbone, or one that has named_blocks()"
        else:
            continue
        problems.append(Problem(("analyses",), f"{name} {what}; allowed: {allowed}"))
    if probes and representation(strategy) is None:
        what = f"look at features, and {kind} has none; allowed: a strategy that has features(x), [B, D]"
        problems.append(Problem(("evaluate", "probes"), what))
    elif "angles" in probes and vertices_of(strategy) is None:
        what = f"angles are those to a fixed simplex, and {kind} has none; allowed: cores, cl2r, hoc, ..."
        problems.append(Problem(("evaluate", "probes"), what))
    if problems:
        raise Problems(problems)
