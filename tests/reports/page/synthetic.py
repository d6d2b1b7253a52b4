"""Frames as a sweep gives them, from made-up accuracies: no run, no training."""

import numpy as np
import pandas as pd

KIB = 1024
FAMILIES = {
    "finetune": "references", "joint": "references", "replay": "rehearsal", "icarl": "rehearsal",
    "ewc": "regularisation", "memo": "expansion", "prd": "prototypes", "ncm": "prototypes", "g-acil": "closed_form",
}  # fmt: skip
ORACLE = {  # five seeds at four budgets; the specification's oracles are computed from them
    "icarl": [[0.512, 0.598, 0.655, 0.688], [0.498, 0.607, 0.661, 0.692], [0.525, 0.590, 0.648, 0.681], [0.507, 0.601, 0.660, 0.695], [0.519, 0.612, 0.652, 0.684]],
    "memo": [[0.455, 0.571, 0.672, 0.731], [0.470, 0.580, 0.669, 0.724], [0.441, 0.575, 0.680, 0.735], [0.462, 0.566, 0.671, 0.722], [0.449, 0.584, 0.677, 0.729]],
    "der": [[0.430, 0.569, 0.668, 0.733], [0.452, 0.572, 0.675, 0.727], [0.438, 0.577, 0.671, 0.730], [0.441, 0.560, 0.679, 0.726], [0.447, 0.581, 0.670, 0.734]],
    "g-acil": [[0.6] * 4] * 5,
}  # fmt: skip
ORACLE_BUDGETS = [128 * KIB, 256 * KIB, 512 * KIB, 1024 * KIB]


def run_row(cell, label, seed, policy, budget, accuracy, status="done", strategy=None, family=None, **more):
    """One row of the frame of runs."""
    strategy = strategy or label
    done = status == "done"
    held = (budget or 700 * KIB) * 0.93
    row = {
        "cell": cell, "run": f"digits-{cell!s:0>12}", "name": "digits", "strategy": strategy,
        "family": family or FAMILIES.get(strategy, "expansion"), "label": label, "scenario": "", "seed": seed, "policy": policy,
        "budget_bytes": budget if budget else np.nan, "status": status, "why": "" if status == "done" else "it broke", "n_experiences": 5,
        "average_accuracy": accuracy, "last_accuracy": accuracy - 0.08, "forgetting": 0.11,
        "max_held_bytes": held, "mean_held_bytes": held * 0.9, "end_held_bytes": held,
        "paper_bytes": held * (0.5 if policy == "full" else 1.0), "training_peak_bytes": held * 1.7,
        "seconds_learn": 1.25, "seconds_predict": 0.11, "seconds_total": 1.4, "fingerprint": "f" * 64,
        "threads": 1, "device": "cpu", "cl_engine": "0.1.0", "torch": "2.13.0",
    }  # fmt: skip
    if not done:
        for key, value in row.items():
            if isinstance(value, float) and key != "budget_bytes":
                row[key] = np.nan
    return row | more


def frames_of(rows, experiences=5):
    """The four frames that belong to rows of runs."""
    runs = pd.DataFrame(rows)
    per, matrix, curve = [], [], []
    for row in rows:
        if row["status"] != "done":
            continue
        a = row["average_accuracy"]
        for k in range(experiences):
            seen = min(1.0, a + 0.15 * (experiences / 2 - k) / experiences)
            held = row["max_held_bytes"] * (0.5 + 0.5 * (k + 1) / experiences)
            per.append(
                {key: row[key] for key in ("cell", "run", "label", "strategy", "seed", "policy", "budget_bytes")}
                | {"experience": k + 1, "samples": 280 * (k + 1), "classes_seen": 2 * (k + 1), "accuracy": seen}
                | {"held_bytes": held, "paper_bytes": held / 2, "peak": held * 0.7}
                | {"held.parameters": held * 0.4, "held.exemplars": held * 0.5, "held.labels": held * 0.1}
            )
            curve.append({"cell": row["cell"], "run": row["run"], "samples": 280 * (k + 1), "accuracy": seen})
            for j in range(k + 1):
                matrix.append(
                    {
                        "cell": row["cell"],
                        "run": row["run"],
                        "experience": k + 1,
                        "group": j + 1,
                        "accuracy": max(0.0, seen - 0.03 * (k - j)),
                    }
                )
    return runs, pd.DataFrame(per), pd.DataFrame(curve), pd.DataFrame(matrix)


def oracle_rows(policies=("full",), seeds=5, start=0):
    """The rows of the oracle data."""
    rows = []
    for policy in policies:
        for label, table in ORACLE.items():
            for seed in range(seeds):
                for b, budget in enumerate(ORACLE_BUDGETS):
                    rows.append(run_row(start + len(rows), label, seed, policy, budget, table[seed][b]))
    return rows


def sweep_rows(strategies, budgets, seeds, policies=("full",), experiences=5):
    """A sweep of any size, with curves that cross, a few failures and a few impossible cells."""
    draw = np.random.default_rng(7)
    rows = []
    for policy in policies:
        for i, (label, family) in enumerate(strategies):
            for b in range(budgets):
                budget = 64 * KIB * 2**b
                mean = (
                    0.45
                    + 0.03 * (i % 7)
                    + (0.02 + 0.012 * (i % 5)) * b
                    + (0.05 if policy == "paper" and i % 2 else 0)
                )
                for seed in range(seeds):
                    status = (
                        "impossible"
                        if b == 0 and i == 3
                        else "failed"
                        if (i, b, seed) in {(2, 1, 0), (4, 2, 1)}
                        else "done"
                    )
                    accuracy = float(np.clip(mean + draw.normal(0, 0.01), 0, 1))
                    rows.append(run_row(len(rows), label, seed, policy, budget, accuracy, status, family=family))
    return rows


def strategies(count):
    """Names and families of so many strategies."""
    names = list(FAMILIES.items())
    others = ["rehearsal", "distillation", "expansion", "stationary", "regularisation", "closed_form", "prototypes"]
    return names[:count] + [(f"method-{i}", others[i % len(others)]) for i in range(count - len(names))]


def raw_results(rows):
    """The raw result of each finished run, as far as the page reads it."""
    return {
        row["run"]: {
            "name": row["name"], "id": row["run"].partition("-")[2], "seed": row["seed"],
            "config": {
                "name": row["name"], "data": {"kind": "digits"}, "stream": {"kind": "class-incremental", "step": 2},
                "strategy": {"kind": row["strategy"]},
                "memory": {"budget": None if np.isnan(row["budget_bytes"]) else row["budget_bytes"], "policy": row["policy"]},
                "training": {"epochs": 3, "lr": 0.05}, "seed": row["seed"],
            },
            "stream": {
                "kind": "class-incremental", "fingerprint": row["fingerprint"], "dropped_samples": 3, "notes": [],
                "experiences": [{"samples": 280, "classes": [2 * k, 2 * k + 1], "new_classes": [2 * k, 2 * k + 1]} for k in range(5)],
            },
            "notes": [],
            "environment": {"cl_engine": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "numpy": "2.4.6", "threads": 1, "device": "cpu"},
        }
        for row in rows
        if row["status"] == "done"
    }  # fmt: skip
