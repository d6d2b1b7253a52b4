"""``cl-engine unlearn``."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cl_engine.cli.options import Json
from cl_engine.errors import InputError

if TYPE_CHECKING:
    from cl_engine.running.record import RunRecord


def unlearn(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory of a finished run; it stays as it is.")],
    classes: Annotated[
        str | None,
        typer.Option(metavar="CLASS,...", help="Classes to remove, by their labels in the data or by name."),
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Text file of places in the training data, from 0 on, to remove."),
    ] = None,
    certify: Annotated[
        bool,
        typer.Option("--certify", help="Learn the rest anew too, and say how far the weights are from that."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the run directory NAME-unlearned-ID (default: beside RUN).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Remove classes or samples from a run exactly, as if it had never seen them; closed-form strategies."""
    from cl_engine.running.unlearning import unlearn_run

    if classes is None and samples is None:
        raise typer.BadParameter("allowed: --classes, --samples, or both")
    places = [] if samples is None else _numbers(_text(samples), str(samples))
    with contextlib.redirect_stdout(sys.stderr):  # a user's module may print
        labels = [] if classes is None else _labels(classes, run)
        record = unlearn_run(run, classes=labels, samples=places, out=out, certify=certify)
    print(json.dumps(record.to_dict(), allow_nan=False) if as_json else _results(record))


def _results(record: RunRecord) -> str:
    from cl_engine.reports.text import summary

    result = record.to_dict()
    derived = result["derived"]
    lines = [summary(result), "", f"removed: {derived['removed']['deliveries']:,} deliveries"]
    if certificate := derived["certificate"]:
        equal = "equal" if certificate["equal"] else "NOT EQUAL"
        lines.append(
            f"certificate: {equal} to a run without them; largest difference of weights "
            f"{certificate['largest_difference']:.1e}, relative {certificate['relative_difference']:.1e}"
        )
    return "\n".join([*lines, f"run: {record.directory}"])


def _labels(text: str, run: Path) -> list[int]:
    """Return the labels that a text means, in which a class stands by its label or by its name."""
    from cl_engine.config.scenario import Scenario
    from cl_engine.kinds.problems import did_you_mean, shown
    from cl_engine.reports.result import CONFIG

    if all(word.isdecimal() for word in text.replace(",", " ").split()):
        return _numbers(text.replace(",", " "), "--classes")
    names = Scenario.load(run / CONFIG).source.load().names
    labels = {name: label for label, name in names.items()} | {str(label): label for label in names}
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in labels:
            known = "labels, and names such as " + shown(names[min(names)])
            raise InputError(
                f"--classes: there is no class {shown(word)}{did_you_mean(word, labels)}; allowed: {known}"
            )
    return [labels[word] for word in words]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"{file}: cannot be read: {what}; allowed: a text file of whole numbers") from None


def _numbers(text: str, where: str) -> list[int]:
    """Return the whole numbers in a text, apart by white space."""
    words = text.split()
    wrong = [word for word in words if not (word.isdecimal() and word.isascii() and len(word) < 19)]
    if wrong or not words:
        found = repr(wrong[0][:40]) if wrong else "nothing"
        raise InputError(f"{where}: got {found}; allowed: whole numbers from 0 on")
    return [int(word) for word in words]
