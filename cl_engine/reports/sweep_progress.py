"""What a person sees while a sweep proceeds: a bar on a terminal, one line per ended cell elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import groupby
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


def spans(numbers: Iterable[int]) -> str:
    """Return cells as ``--cells`` takes them.

    >>> spans([7, 3, 4, 5, 9])
    '3-5,7,9'
    """
    runs = [[n for _, n in run] for _, run in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


class SweepProgress:
    """Reports to standard error."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None
        self.running: dict[int, str] = {}
        self.titles: dict[int, str] = {}
        self.failed = self.ended_cells = self.cells = 0
        self.failures: dict[str, list[int]] = {}  # by message, the cells
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
            cells = self.failures.setdefault(why, [])
            cells.append(number)
            if len(cells) == 1 or self.bar is None:
                what = why if len(cells) == 1 else f"the same error as cell {cells[0]}"
                self._say(f"{self.ended_cells}/{self.cells} FAILED {title}: {what}")
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
        """Close the bar, and say once which cells failed alike."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        for why, cells in self.failures.items():
            if len(cells) > 1:
                self._say(f"{len(cells)} cells failed alike ({spans(cells)}): {why}")

    def _refresh(self) -> None:
        if self.bar is not None:
            failed = f"{self.failed} failed, " if self.failed else ""
            self.bar.set_postfix_str(f"{failed}{' | '.join(self.running.values())}{self.rest}", refresh=False)

    def _say(self, text: str) -> None:
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)
