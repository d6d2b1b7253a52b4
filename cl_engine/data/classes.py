"""From the names of files to classes, and to what is for training and what for testing."""

from __future__ import annotations

import bisect
import collections
import hashlib
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cl_engine.data.members import Member, Members, shown
from cl_engine.data.pictures import SUFFIXES
from cl_engine.data.samples import DataError
from cl_engine.randomness import numpy_generator

TRAIN, TESTS = b"train", (b"test", b"val")
ENDINGS, LONGEST = tuple(suffix.encode() for suffix in SUFFIXES), max(map(len, SUFFIXES))
LAYOUTS = "allowed: one folder for each class, or such folders in train/ and in test/ (or val/)"


class Names(Sequence[bytes]):
    """Many names, packed: 1.28 million of them take some 50 MB."""

    def __init__(self, names: list[bytes]) -> None:
        self.all, lengths = b"".join(names), [len(name) for name in names]
        self.ends = np.cumsum(lengths, dtype=np.int64)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.ends)

    def __getitem__(self, number: int) -> bytes:  # type: ignore[override]
        """Return one of them."""
        return self.all[self.ends[number - 1] if number else 0 : self.ends[number]]


class Listing(NamedTuple):
    """The pictures of a data set by their names alone: training ones first, then those for testing.

    Attributes:
        names: of all pictures; sorted by class and name, as bytes, in either part.
        labels: int64 ``[N]``: the place of the class among the sorted ones.
        training: how many are for training.
        classes: their names.
        problems: names of files that are no pictures, each with what is wrong.
        digest: SHA-256 over names, sizes and stamps, and over how they are dealt out.
    """

    names: Names
    labels: npt.NDArray[np.int64]
    training: int
    classes: tuple[str, ...]
    problems: tuple[tuple[bytes, str], ...]
    digest: str


def listing(members: Members, test_share: float, split_seed: int) -> Listing:
    """Read names, sort them into classes, and see what is for testing.

    Args:
        members: the tree of files.
        test_share: share of each class that is for testing, at least one picture, where there is no test folder.
        split_seed: draws which.

    Raises:
        DataError: the tree is none of classes, or a class has no picture.
    """
    found = _Found(members)
    if found.splits:
        parts = [found.below(split) for split in found.splits]
        classes = sorted({name for part in parts for name in part})
        for part, split in zip(parts, found.splits, strict=True):
            _check_each(classes, part, f" in {shown(split)}/")
        (names, labels), (test_names, test_labels) = (_joined(part, classes) for part in parts)
        training = len(names)
        names, labels = names + test_names, np.concatenate([labels, test_labels])
    else:
        every = found.below(b"")
        classes = sorted(every)
        _check_each(classes, every, "")
        names, labels = _joined(every, classes)
        test = _drawn(labels, classes, test_share, split_seed)
        order = np.concatenate([np.flatnonzero(~test), np.flatnonzero(test)])
        names, labels = [names[i] for i in order.tolist()], labels[order]
        training = int((~test).sum())
    if not classes:
        what = f" ({shown(found.problems[0][0])} {found.problems[0][1]})" if found.problems else ""
        raise DataError(f"holds no class folder with pictures{what}; {LAYOUTS}")
    digest = hashlib.sha256(f"{training} {test_share} {split_seed}\n".encode())
    digest.update(found.digest.encode())
    return Listing(
        Names(names),
        labels,
        training,
        tuple(map(shown, classes)),
        tuple(found.problems),
        digest.hexdigest(),
    )


class _Found:
    """All names of a tree, below the one folder that all of it may stand in."""

    def __init__(self, members: Members) -> None:
        files: list[bytes] = []
        sizes, stamps = array("q"), array("q")
        self.folders: set[bytes] = set()
        self.problems: list[tuple[bytes, str]] = []
        for member in members:
            problem = _problem(member)
            if problem:
                self.problems.append((member.name, problem))
            elif member.name.endswith(b"/"):
                self.folders.add(member.name)
            else:
                files.append(member.name)
                sizes.append(member.size)
                stamps.append(member.stamp)
        order = sorted(range(len(files)), key=files.__getitem__)
        self.files = [files[i] for i in order]
        self._check_once()
        for name in self.files:  # an archive need not name its folders, and may name some of them only
            if name[: name.rfind(b"/") + 1] not in self.folders:
                self.folders.update(_parents(name))
        digest = hashlib.sha256(b"\0".join(self.files))  # no name of a file holds a zero byte
        for numbers in (sizes, stamps):
            digest.update(np.array(numbers, dtype="<i8")[order].data)
        self.digest = digest.hexdigest()
        self.problems.sort()
        self.root = self._root()
        self.splits = self._splits()

    def below(self, folder: bytes) -> dict[bytes, list[bytes]]:
        """Return the sorted names in each class folder below ``folder`` of the root, also where there are none."""
        start = self.root + (folder + b"/" if folder else b"")
        found = collections.defaultdict[bytes, list[bytes]](list)
        for name in self._beginning(self.files, start):
            end = name.find(b"/", len(start))
            if end < 0:
                self.problems.append((name, "stands in no class folder"))
            else:
                found[name[len(start) : end]].append(name)
        for name in self._beginning(sorted(self.folders), start):
            if name != start:
                found[name[len(start) :].partition(b"/")[0]].extend(())
        return dict(found)

    @staticmethod
    def _beginning(names: list[bytes], start: bytes) -> list[bytes]:
        """Return those of sorted names that begin so; ``start`` ends with a slash, or is empty."""
        if not start:
            return names
        after = start[:-1] + bytes([ord("/") + 1])
        return names[bisect.bisect_left(names, start) : bisect.bisect_left(names, after)]

    def _root(self) -> bytes:
        """Go down while there is only one folder and nothing but folders in it."""
        root = b""
        while True:
            inside = {f[len(root) :].partition(b"/")[0] for f in self.folders if f.startswith(root) and f != root}
            if len(inside) != 1:
                return root
            deeper = root + inside.pop() + b"/"
            if not any(f.startswith(deeper) and f != deeper for f in self.folders):
                return root
            if any(f.startswith(root) and b"/" not in f[len(root) :] for f in self.files):
                return root
            root = deeper

    def _splits(self) -> tuple[bytes, bytes] | None:
        """Return the folders for training and testing, if they hold folders."""
        holding = {
            parts[0]
            for f in self.folders
            if f.startswith(self.root) and len(parts := f[len(self.root) :].rstrip(b"/").split(b"/")) > 1
        }
        test = next((name for name in TESTS if name in holding), None)
        return (TRAIN, test) if TRAIN in holding and test else None

    def _check_once(self) -> None:
        for one, next_one in zip(self.files, self.files[1:], strict=False):
            if one == next_one:
                raise DataError(f"{shown(one)} stands in the archive twice; allowed: each name once")


def _problem(member: Member) -> str | None:
    if member.problem or member.name.endswith(b"/"):
        return member.problem
    if member.name[-LONGEST:].lower().endswith(ENDINGS):
        return None
    return f"is no picture by its name; allowed: {', '.join(SUFFIXES)}"


def _parents(name: bytes) -> Iterator[bytes]:
    place = name.find(b"/")
    while place >= 0:
        yield name[: place + 1]
        place = name.find(b"/", place + 1)


def _check_each(classes: list[bytes], found: dict[bytes, list[bytes]], where: str) -> None:
    empty = [name for name in classes if not found.get(name)]
    if empty:
        more = f" (nor have {len(empty) - 1:,} others)" if len(empty) > 1 else ""
        raise DataError(
            f"class {shown(empty[0])!r} has no picture{where}{more}; allowed: one or more in each class"
        )


def _joined(found: dict[bytes, list[bytes]], classes: list[bytes]) -> tuple[list[bytes], npt.NDArray[np.int64]]:
    """Return names in the order of classes, and the number of the class of each."""
    names = [name for one in classes for name in found[one]]
    return names, np.repeat(np.arange(len(classes)), [len(found[one]) for one in classes])


def _drawn(labels: npt.NDArray[np.int64], classes: list[bytes], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Draw a share of each class for testing, by a generator of its own: rounded, at least 1 and not all."""
    test = np.zeros(len(labels), dtype=bool)
    bounds = np.searchsorted(labels, np.arange(len(classes) + 1))
    for name, start, stop in zip(classes, bounds, bounds[1:], strict=False):
        count = int(stop - start)
        if count < 2:
            what = "has one picture, and one is needed for testing too; allowed: 2 or more"
            raise DataError(f"class {shown(name)!r} {what}")
        chosen = min(max(round(count * share), 1), count - 1)
        drawn = numpy_generator(seed, f"test pictures of {name!r}").permutation(count)[:chosen]
        test[start + drawn] = True
    return test
