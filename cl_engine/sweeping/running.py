"""One cell, from its scenario to its result or to what went wrong, wherever it runs."""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cl_engine.config.common import Common
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.engine import run
from cl_engine.kinds.problems import one_line
from cl_engine.running.store import LockedError, ResumeError, StoreError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # no other cell can be written either
LONGEST, LONGEST_TRACEBACK = 2000, 1 << 16  # characters of a message, and of where it came from

Tell = Callable[[str, dict[str, Any]], None]


class Stopped(BaseException):
    """The sweep was interrupted: the cell ends after an experience that is committed."""


class _Reporter:
    """Passes on that an experience is committed, and ends the run there when asked to."""

    def __init__(self, tell: Tell, stopping: Callable[[], bool]) -> None:
        self.tell, self.stopping, self.total = tell, stopping, 0

    def started(self, scenario: Scenario, directory: Path | None, done: int, note: str | None) -> None:
        self.total = len(scenario.plan)
        self.tell("progress", {"done": done, "of": self.total})

    def progress(self, text: str) -> None:
        pass

    def finished(self, line: dict[str, Any]) -> None:
        done = line["experience"] + 1
        self.tell("progress", {"done": done, "of": self.total})
        if self.stopping() and done < self.total:
            raise Stopped


def run_cell(
    source: Any,
    overrides: Sequence[str],
    changes: dict[str, Any],
    expected: str,
    folder: Path,
    tell: Tell,
    *,
    common: Common | None = None,
    sharing: Path | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Run a cell, or continue it; tell what happens, the last time how it ended.

    Args:
        source: the scenario.
        overrides: assignments to all cells.
        changes: what the cell sets.
        expected: the id that the cell had when the sweep began.
        folder: of the sweep.
        tell: called with the words of :class:`cl_engine.sweeping.executors.Event`.
        common: parts that earlier cells were loaded with.
        sharing: folder where cells leave what others can take over, or None.
        stopping: whether the run shall end after the next experience.
    """
    begun = time.perf_counter()
    try:
        scenario = Scenario.load(source, overrides, common, **changes)
        if scenario.id != expected:
            raise ConfigError("the scenario changed while the sweep ran; start it again")
        reporter = _Reporter(tell, stopping)
        try:
            run(scenario, out=folder, resume=True, reporter=reporter, sharing=sharing)
        except ResumeError:  # damaged, or of other code or data: it is set aside, and the cell begins anew
            run(scenario, out=folder, reporter=reporter, sharing=sharing)
    except Stopped:
        tell("stopped", {})
    except LockedError:
        tell("locked", {})
    except (Exception, SystemExit) as error:  # of the strategy's own too: it must not stop the other cells
        if isinstance(error, StoreError) and error.errno in FULL:
            tell("unwritable", {"message": str(error)})
            return
        facts = {"error": type(error).__name__, "message": one_line(error)[:LONGEST]}
        tell("failed", {**facts, "traceback": traceback.format_exc()[-LONGEST_TRACEBACK:]})
    else:
        tell("done", {"seconds": time.perf_counter() - begun})
