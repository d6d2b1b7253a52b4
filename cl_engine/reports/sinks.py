"""Where a run's numbers may go besides its directory: TensorBoard and Weights & Biases."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from cl_engine.config.scenario import Scenario
from cl_engine.errors import InputError

SINKS = ("tensorboard", "wandb")


def scalars(line: dict[str, Any]) -> dict[str, float]:
    """Return what is logged of a finished experience: fractions, bytes and seconds.

    >>> held = {"held_bytes": 8, "paper_bytes": 4, "transient": {"batch": 3}}
    >>> scalars({"accuracy": None, **held, "seconds": {"total": 0.5}})
    {'held_bytes': 8.0, 'paper_bytes': 4.0, 'training_bytes': 3.0, 'seconds': 0.5}
    """
    found = {
        "accuracy": line["accuracy"],
        "held_bytes": line["held_bytes"],
        "paper_bytes": line["paper_bytes"],
        "training_bytes": sum(line["transient"].values()),
        "seconds": line["seconds"]["total"],
    }
    return {name: float(value) for name, value in found.items() if value is not None}


class TensorBoard:
    """Writes event files into ``tensorboard/`` of the run directory; the step is the number of the experience.

    Raises:
        InputError: tensorboard is not installed.
    """

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise InputError("--log tensorboard needs it: pip install tensorboard") from None
        self._writer_class: Any = SummaryWriter
        self._writer: Any = None

    def started(self, scenario: Scenario, directory: Path | None, done: int, note: str | None) -> None:
        """Open the event file; experiences that were finished earlier stand in an earlier one."""
        folder = Path("tensorboard") if directory is None else directory / "tensorboard"
        self._writer = self._writer_class(log_dir=str(folder))

    def progress(self, text: str) -> None:
        """Nothing is logged within an experience."""

    def finished(self, line: dict[str, Any]) -> None:
        """Log an experience."""
        for name, value in scalars(line).items():
            self._writer.add_scalar(name, value, line["experience"] + 1)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()


class WandB:
    """Logs to Weights & Biases: one run under the id of ours, seeds of one scenario in one group.

    ``WANDB_PROJECT``, ``WANDB_MODE=offline`` and the like are read by wandb itself.

    Raises:
        InputError: wandb is not installed.
    """

    def __init__(self) -> None:
        try:
            import wandb
        except ImportError:
            raise InputError("--log wandb needs it: pip install wandb") from None
        self._wandb: Any = wandb
        self._run: Any = None

    def started(self, scenario: Scenario, directory: Path | None, done: int, note: str | None) -> None:
        """Begin a run, or go on with that of the same id."""
        config = scenario.to_dict()
        self._run = self._wandb.init(
            id=f"{scenario.name}-{scenario.id}",
            name=f"{scenario.name} {scenario.strategy['kind']} seed {scenario.seed}",
            group=f"{scenario.name} {scenario.strategy['kind']}",
            config=config,
            dir=None if directory is None else str(directory),
            resume="allow",
        )

    def progress(self, text: str) -> None:
        """Nothing is logged within an experience."""

    def finished(self, line: dict[str, Any]) -> None:
        """Log an experience."""
        self._run.log(scalars(line), step=line["experience"] + 1)

    def close(self) -> None:
        """Hand over what is left."""
        if self._run is not None:
            with contextlib.suppress(Exception):  # a run is kept, whatever becomes of its copy
                self._run.finish()


def sink(name: str) -> TensorBoard | WandB:
    """Return the sink of a name.

    Raises:
        InputError: there is no such sink, or what it needs is not installed.
    """
    if name not in SINKS:
        raise InputError(f"--log {name}: there is no such sink; allowed: {', '.join(SINKS)}")
    return TensorBoard() if name == "tensorboard" else WandB()


class Several:
    """A reporter that tells several others."""

    def __init__(self, *reporters: Any) -> None:
        self.reporters = reporters

    def started(self, scenario: Scenario, directory: Path | None, done: int, note: str | None) -> None:
        """Pass it on."""
        for reporter in self.reporters:
            reporter.started(scenario, directory, done, note)

    def progress(self, text: str) -> None:
        """Pass it on."""
        for reporter in self.reporters:
            reporter.progress(text)

    def finished(self, line: dict[str, Any]) -> None:
        """Pass it on."""
        for reporter in self.reporters:
            reporter.finished(line)

    def close(self) -> None:
        """Close them all."""
        for reporter in self.reporters:
            reporter.close()
