"""What a person sees while a run proceeds: a bar on a terminal, one line per experience elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cl_engine.config.scenario import Scenario
from cl_engine.reports.text import experience_line, percent, size


class Progress:
    """Reports to standard error."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None
        self.total = 0
        self.directory: Path | None = None

    def started(self, scenario: Scenario, directory: Path | None, done: int, note: str | None) -> None:
        """Say what runs; open the bar on a terminal."""
        self.total, self.directory = len(scenario.plan), directory
        classes = len({*scenario.labels.train.tolist()})
        self._say(
            f"{scenario.name}: {scenario.strategy['kind']} on {scenario.stream['kind']} {scenario.data['kind']}, "
            f"{self.total} experiences, {len(scenario.plan.indices):,} samples, {classes} classes"
        )
        for text in (note, f"resumed after experience {done} of {self.total}" if done else None):
            if text:
                self._say(text)
        if sys.stderr.isatty():
            self.bar = tqdm(total=self.total, initial=done, unit="exp", file=sys.stderr, dynamic_ncols=True)

    def progress(self, text: str) -> None:
        """Show what the experience is at."""
        if self.bar is not None:
            self.bar.set_postfix_str(text)

    def finished(self, line: dict[str, Any]) -> None:
        """Advance the bar, or print the experience's line."""
        if self.bar is None:
            self._say(experience_line(line, self.total))
        else:
            self.bar.set_postfix_str(f"accuracy {percent(line['accuracy'])}, held {size(line['held_bytes'])}")
            self.bar.update()
        for note in line["notes"]:
            self._say(f"note: experience {line['experience'] + 1}: {note}")

    def close(self) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def _say(self, text: str) -> None:
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)
