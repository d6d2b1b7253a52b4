"""Tables for the terminal: accuracy and held bytes side by side."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from cl_engine.reports.result import FILE, ResultError, read_result


def size(amount: int | float) -> str:
    """Return bytes in the largest fitting binary unit.

    >>> size(0), size(1536), size(8_080_080), size(1_023_590)
    ('0 B', '1.5 KiB', '7.71 MiB', '1,000 KiB')
    """
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if amount >= factor:
            few = amount < 999.5 * factor  # from there on three digits would be 1e+03
            return f"{amount / factor:.3g} {unit}" if few else f"{amount / factor:,.0f} {unit}"
    return f"{amount:,.0f} B"


def percent(fraction: float | None) -> str:
    """Return a fraction as a percentage, or a dash where it is undefined.

    >>> percent(0.98765), percent(None), percent(-0.0001)
    ('98.8 %', '-', '0.0 %')
    """
    return "-" if fraction is None else f"{decimal(fraction * 100, 1)} %"


def slug(name: str) -> str:
    """Return a name as a part of a file's.

    >>> slug("mine:Mine width 32")
    'mine-mine-width-32'
    """
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:60] or "unnamed"


def untaken(name: str, taken: Container[str]) -> str:
    """Return a name, with a number behind it where it is taken.

    >>> untaken("a", {"a", "a-2"}), untaken("b", {"a"})
    ('a-3', 'b')
    """
    numbered = (name if k == 1 else f"{name}-{k}" for k in count(1))
    return next(found for found in numbered if found not in taken)


def decimal(value: float, digits: int, sign: bool = False) -> str:
    """Return a number with so many decimals; what rounds to zero has no sign.

    >>> decimal(-0.004, 2), decimal(0.004, 2, sign=True), decimal(1.5, 1, sign=True)
    ('0.00', '0.00', '+1.5')
    """
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return text.lstrip("+-") if not float(text) else text


def experience_line(line: Mapping[str, Any], total: int) -> str:
    """Return one line about a finished experience."""
    return (
        f"experience {line['experience'] + 1}/{total}: {line['samples']} samples, "
        f"{_seen(line)} classes seen, accuracy {percent(line['accuracy'])}, held {size(line['held_bytes'])}"
    )


def _policy(policy: str | Sequence[str]) -> str:
    return policy if isinstance(policy, str) else " + ".join(policy)


def _seen(line: Mapping[str, Any]) -> int:
    return sum(count > 0 for count in line["tested"][0]) if line["tested"] else 0


def summary(result: Mapping[str, Any]) -> str:
    """Return what a run found: per experience, in all, and what is held at the end by kind."""
    memory, metrics = result["memory"], result["metrics"]
    rows = [("experience", "samples", "new classes", "accuracy", "held", "held (paper)")]
    for k, experience in enumerate(result["stream"]["experiences"]):
        rows.append(
            (
                str(k + 1),
                f"{experience['samples']:,}",
                str(len(experience["new_classes"])),
                percent(result["accuracy"]["seen"][k]),
                size(memory["held_bytes"][k]),
                size(memory["paper_bytes"][k]),
            )
        )
    budget = memory["budget_bytes"]
    limit = (
        f", budget {size(budget)} ({_policy(memory['policy'])}, {memory['budget_scope']})"
        if budget
        else ", no budget"
    )
    lines = [
        aligned(rows),
        "",
        f"average accuracy {percent(metrics['average_accuracy'])}, last {percent(metrics['last_accuracy'])}, "
        f"forgetting {percent(metrics['forgetting'])}",
        f"held at most {size(memory['max_held_bytes'])}{limit}; only while training: "
        f"{size(memory['training_peak_bytes'])}",
        "held at the end: "
        + (", ".join(f"{kind} {size(n)}" for kind, n in by_kind(memory["entries"][-1])) or "nothing"),
    ]
    if recipe := result.get("recipe"):
        lines.append(recipe_words(recipe["name"], recipe["departures"]))
    lines += [f"note: {note}" for note in [*result["stream"]["notes"], *result["notes"]]]
    return "\n".join(lines)


def recipe_words(name: str, departures: Sequence[str]) -> str:
    """Return one line about the recipe that a run follows.

    >>> recipe_words("memo", ["training.epochs"]), recipe_words("memo", [])
    ('recipe memo, but for training.epochs', 'recipe memo, nothing changed')
    """
    return f"recipe {name}, {'but for ' + ', '.join(departures) if departures else 'nothing changed'}"


def comparison(results: Sequence[Mapping[str, Any]]) -> str:
    """Return one row per run: what it reached, and what it held to reach it."""
    rows = [("run", "strategy", "seed", "average", "last", "forgetting", "held at most", "paper", "differs in")]
    for r in sorted(results, key=lambda r: -(r["metrics"]["average_accuracy"] or 0)):
        m = r["metrics"]
        scores = (percent(m[key]) for key in ("average_accuracy", "last_accuracy", "forgetting"))
        sizes = (size(r["memory"]["max_held_bytes"]), size(max(r["memory"]["paper_bytes"])))
        rows.append(
            (
                f"{r['name']}-{r['id']}",
                r["config"]["strategy"]["kind"],
                str(r["seed"]),
                *scores,
                *sizes,
                _differs(r, results),
            )
        )
    return aligned(rows)


def finished_runs(folder: Path, like: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read the finished runs in ``folder`` that had the same data, stream and evaluation as ``like``."""
    found = []
    for file in sorted(folder.glob(f"*/{FILE}")):
        try:
            result = read_result(file.parent)
            own = file.parent.name == f"{result['name']}-{result['id']}"
            if own and _protocol(result) == _protocol(like) and comparison([result]):
                found.append(result)
        except (ResultError, KeyError, TypeError):
            continue  # no run of ours, or one that is being written
    return found


def _protocol(result: Mapping[str, Any]) -> list[Any]:
    """Return what two runs must share for their accuracies to be compared."""
    config, stream = result["config"], result["stream"]
    when = {key: value for key, value in config["evaluate"].items() if not key.startswith("probe")}
    return [stream["fingerprint"], stream["kind"], config["data"], when, result["identity"]["data"]]


def _differs(result: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> str:
    """Return the options in which a run differs from another one of the same strategy."""
    kind = result["config"]["strategy"]["kind"]
    alike = [leaves(r["config"]) for r in results if r["config"]["strategy"]["kind"] == kind]
    own = leaves(result["config"])
    keys = [k for k in own if any(other.get(k) != own[k] for other in alike) and k not in ("name", "seed")]
    return ", ".join(f"{k.partition('.')[2] or k}={own[k]}" for k in keys)


def leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested mappings by dotted key, each key with ``prefix`` before it.

    >>> leaves({"seed": 0, "data": {"kind": "digits"}})
    {'seed': 0, 'data.kind': 'digits'}
    """
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return found


def by_kind(entries: Iterable[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Sum the entries of a ledger by kind, largest first, without what weighs nothing."""
    sums: dict[str, int] = {}
    for entry in entries:
        sums[entry["kind"]] = sums.get(entry["kind"], 0) + entry["bytes"]
    return sorted(((k, n) for k, n in sums.items() if n), key=lambda pair: -pair[1])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as columns, numbers to the right; the first row is the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = [all(row[i][:1].isdigit() or row[i][:1] in "-" for row in rows[1:]) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in rows
    )
