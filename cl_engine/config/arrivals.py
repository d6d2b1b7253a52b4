"""A file that says when the images of a service's gallery come."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator

import numpy as np

from cl_engine.errors import InputError
from cl_engine.service.arrivals import Times

HEADER = ["image", "seconds"]


def read_arrivals(path: str, images: int) -> Times:
    """Return when each image comes, float64 ``[images]``.

    The file is a CSV with the header ``image,seconds``: the row of an image in the gallery, from 0, and when it
    comes.  What it does not name is there at first.

    Args:
        path: of the file.
        images: how many the gallery has or will have.

    Raises:
        InputError: it cannot be read, or a row is wrong: its line, what is wrong, what is allowed.
    """
    found, named = np.zeros(images), np.zeros(images, dtype=bool)
    name = os.path.basename(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            for line, row in _rows(file, name):
                image, seconds = _parsed(row, images, f"{name}, line {line}")
                if named[image]:
                    raise InputError(f"{name}, line {line}: image {image} for the second time; allowed: once")
                found[image], named[image] = seconds, True
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: byte {error.start} is not UTF-8; allowed: a text file") from None
    if not (found <= 0).any():
        raise InputError(f"{name}: every image comes after 0; allowed: one or more that are there at first")
    return found


def _rows(file: Iterable[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows below the header, blank ones apart, with their lines."""
    rows, header = csv.reader(file, strict=True), None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if header is None:
                header = cells
                if header != HEADER:
                    raise InputError(f"{name}, line 1: got {','.join(row)[:60]!r}; allowed: image,seconds")
            elif any(cells):
                yield rows.line_num, cells
    except csv.Error as error:
        raise InputError(f"{name}, line {rows.line_num}: {error}; allowed: image,seconds in each row") from None
    if header is None:
        raise InputError(f"{name}: is empty; allowed: image,seconds, and a row for each image that comes later")


def _parsed(row: list[str], images: int, where: str) -> tuple[int, float]:
    try:
        image, seconds = int(row[0]), float(row[1])
        fine = len(row) == 2 and 0 <= image < images and 0 <= seconds < np.inf
    except (ValueError, IndexError):
        fine = False
    if not fine:
        got = ",".join(row)[:60]
        raise InputError(f"{where}: got {got!r}; allowed: an image from 0 to {images - 1}, and 0 seconds or more")
    return image, seconds
