"""What a person sees while a sweep proceeds: a bar on a terminal, one line per ended cell elsewhere."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from tqdm import tqdm


def duration(seconds: float) -> str:
    """Return a time to wait in words.

    >>> duration(0.34), duration(40), duration(700), duration(8000)
    ('0.3 s', '40 s', '12 min', '2 h 13 min')
    """
    if seconds < 9.5:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class SweepProgress:
    """Reports to standard error."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None
        self.running: dict[int, str] = {}
        self.titles: dict[int, str] = {}
        self.failed = self.ended_cells = self.cells = 0
        self.same: Counter[str] = Counter()
        self.rest = ""

    def begun(self, cells: int, done: int, impossible: int, failed: int) -> None:
        """Say how many cells there are and how many need not run."""
        self.cells, self.ended_cells, self.failed = cells, done + impossible + failed, failed
        already = [(done, "finished"), (impossible, "impossible within their budget"), (failed, "failed before")]
        words = [f"{number} {what}" for number, what in already if number]
        self._say(f"{cells} cells" + (f": {', '.join(words)}" if words else ""))
        if sys.stderr.isatty():
            self.bar = tqdm(total=cells, initial=self.ended_cells, unit="cell", file=sys.stderr, dynamic_ncols=True)

    def started(self, number: int, title: str) -> None:
        """Say that a cell begins."""
        self.titles[number] = title
        self.running[number] = title

    def progress(self, number: int, done: int, of: int) -> None:
        """Say that an experience of a cell is finished."""
        self.running[number] = f"{self.titles[number]} {done}/{of}"
        self._refresh()

    def ended(self, number: int, title: str, state: str, why: str, seconds: float | None) -> None:
        """Say how a cell ended."""
        self.running.pop(number, None)
        self.ended_cells += 1
        if state == "failed":
            self.failed += 1
            self.same[why] += 1
            if self.same[why] == 1:
                self._say(f"FAILED {title}: {why}")
            elif self.same[why] in (10, 100, 1000):
                self._say(f"{self.same[why]} cells: the same error, {why}")
        elif self.bar is None:
            took = "" if seconds is None else f", {duration(seconds)}"
            self._say(f"{self.ended_cells}/{self.cells} {title}: {state}{took}{self.rest}")
        if self.bar is not None:
            self.bar.update()
            self._refresh()

    def left(self, seconds: float | None) -> None:
        """Say how long the rest will take."""
        self.rest = "" if seconds is None else f", {duration(seconds)} left"
        self._refresh()

    def close(self) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def _refresh(self) -> None:
        if self.bar is not None:
            failed = f"{self.failed} failed, " if self.failed else ""
            self.bar.set_postfix_str(f"{failed}{' | '.join(self.running.values())}{self.rest}", refresh=False)

    def _say(self, text: str) -> None:
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)
