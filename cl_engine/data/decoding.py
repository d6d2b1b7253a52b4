"""Many pictures decoded by several threads, in order."""

from __future__ import annotations

import collections
import hashlib
import itertools
import os
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from cl_engine.data.classes import Listing
from cl_engine.data.members import Members, shown
from cl_engine.data.pictures import Decoded, Form, PictureError, SizeError
from cl_engine.data.samples import DataError

TOGETHER = 16  # pictures that a thread takes at a time
MOST_THREADS = 16


class Row(NamedTuple):
    """What became of a picture.

    Attributes:
        number: its row.
        decoded: the picture, or None.
        digest: SHA-256 of its pixels.
        problem: what is wrong with it, or None.
    """

    number: int
    decoded: Decoded | None
    digest: bytes
    problem: PictureError | None


class Pictures(NamedTuple):
    """All pictures of a data set, none of them decoded.

    Attributes:
        members: where their files stand.
        listing: their names.
        form: what each is made into.
        shape: of the array of each, ``(C, H, W)``.
    """

    members: Members
    listing: Listing
    form: Form
    shape: tuple[int, int, int]

    def row(self, number: int, data: bytes | None = None) -> Row:
        """Decode a picture; its file is read unless it is given."""
        try:
            if data is None:
                data = self.members.read(self.listing.names[number])
            found = self.form.decoded(data, self.shape)
        except PictureError as error:
            return Row(number, None, bytes(32), error)
        return Row(number, found, hashlib.sha256(found.pixels.data).digest(), None)

    def rows(self, numbers: Iterable[int]) -> Iterator[Row]:
        """Decode pictures and yield them in order, or in that of an archive with only one way through it.

        A few are decoded ahead of those that were asked for, so little is in memory at a time.
        """
        work: Iterator[tuple[int, bytes | None]] = ((number, None) for number in numbers)
        if (stream := self.members.stream()) is not None:
            wanted, names = set(numbers), self.listing.names
            place = {names[number]: number for number in wanted}
            work = ((place[name], data) for name, data in stream if name in place)
        waiting: collections.deque[Future[list[Row]]] = collections.deque()
        with warnings.catch_warnings(), ThreadPoolExecutor(threads()) as pool:
            warnings.simplefilter("ignore")  # Pillow's, of which each says no more than what is checked here
            try:
                while chunk := list(itertools.islice(work, TOGETHER)):
                    waiting.append(pool.submit(self._rows, chunk))
                    if len(waiting) > 2 * threads():
                        yield from waiting.popleft().result()
                while waiting:
                    yield from waiting.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _rows(self, chunk: list[tuple[int, bytes | None]]) -> list[Row]:
        return [self.row(number, data) for number, data in chunk]

    def error(self, row: int, problem: PictureError) -> DataError:
        """Return what is said of a picture that cannot be used."""
        name = shown(self.listing.names[row])
        if isinstance(problem, SizeError):
            _, height, width = self.shape
            return DataError(
                f"pictures differ in size: the first is {width} x {height}, {name} is {problem}; allowed: pictures "
                f"of one size, or an option such as `size: {min(width, height)}`, which all are brought to"
            )
        return refused(name, str(problem))


def refused(name: str, problem: str) -> DataError:
    """Return what is said of a file that is no picture that can be used."""
    beside = ", or" if "allowed:" in problem else "; allowed: no such file, or"
    return DataError(f"{name} {problem}{beside} `on_error: skip`, which leaves it out")


def shape_of_first(members: Members, listing: Listing, form: Form, skip: bool) -> tuple[int, int, int]:
    """Return the shape of the array of the first picture, which all must have.

    Raises:
        DataError: the first picture is damaged, or with ``skip`` all are.
    """
    if form.size is not None:
        return form.channels, form.size, form.size
    for name in listing.names:
        try:
            return form.shape_of(members.read(name))
        except PictureError as error:
            if not skip:
                raise refused(shown(name), str(error)) from None
    raise DataError("none of the files can be decoded; allowed: pictures")


def threads() -> int:
    """Return how many threads decode: one for each processor that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_THREADS)
