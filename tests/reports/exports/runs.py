"""Frames with one row a run, as they are read from the folder of a sweep."""

import pandas as pd

from tests.statistics.sweep import BUDGETS, curves, strategies

FAMILIES = {"icarl": "rehearsal", "memo": "expansion", "der": "expansion", "g-acil": "closed_form", "finetune": "references", "joint": "references"}  # fmt: skip


def row(label, seed, value, budget=1024.0, status="done", **others):
    strategy = others.pop("strategy", label)
    metrics = {"average_accuracy": value if status == "done" else float("nan")}
    return {
        "cell": 0,
        "run": f"{label}-{seed}",
        "name": "sweep",
        "strategy": strategy,
        "family": FAMILIES.get(strategy, "own"),
        "label": label,
        "seed": seed,
        "policy": "full",
        "budget_bytes": budget,
        "status": status,
        **metrics,
        "fingerprint": f"stream {seed}" if status == "done" else None,
        **others,
    }


def rows(label, values, **others):
    return [row(label, seed, value, **others) for seed, value in enumerate(values)]


def frame(*groups):
    return pd.DataFrame([found for group in groups for found in group])


def sweep(seeds=5):
    """Return the reference sweep, with the two references added."""
    found = [
        row(name, seed, value, budget * 2**20)
        for name in strategies()
        for seed, curve in curves(name, seeds).items()
        for budget, value in curve.items()
    ]
    for name, value in (("finetune", 0.2), ("joint", 0.95)):
        found += [row(name, seed, value, budget * 2**20) for seed in range(seeds) for budget in BUDGETS]
    return pd.DataFrame(found)
