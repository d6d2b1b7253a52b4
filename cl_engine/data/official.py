"""Files that everybody has: where they come from, where they lie here, and whether they are the ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cl_engine.data.download import download, md5_of
from cl_engine.data.samples import DataError

VARIABLE = "CL_ENGINE_DATA"


class Official(NamedTuple):
    """A file as its authors publish it.

    Attributes:
        name: of the file.
        url: where it comes from; it ends in ``name``.
        size: of the file, in words.
        md5: its MD5, in hexadecimal digits.
    """

    name: str
    url: str
    size: str
    md5: str

    def found(self, folder: Path, fetch: bool) -> Path:
        """Return where the file lies in ``folder``, downloaded if it is missing and ``fetch`` is true.

        Raises:
            DataError: it is missing, which says what to do; or it is another file.
        """
        path = folder / self.name
        if not path.is_file():
            if not fetch:
                raise missing([self], folder)
            download(self.url, path, self.md5)
        elif (found := md5_of(path)) != self.md5:
            what = f"{path} has MD5 {found}, so it is damaged or another file"
            raise DataError(f"{what}; allowed: {self.md5}, as {self.url} has")
        return path


def missing(files: Sequence[Official], folder: Path) -> DataError:
    """Return the error that says what to do where ``files`` are not in ``folder``."""
    names, urls = ", ".join(file.name for file in files), ", ".join(f"{file.url} ({file.size})" for file in files)
    return DataError(
        f"there is no {names} in {folder}; allowed: download {urls} into it, name another folder as `root` or in "
        f"{VARIABLE}, or set `download: true`"
    )


def data_folder() -> Path:
    """Return where data sets lie by default: what CL_ENGINE_DATA names, or ``~/.cache/cl-engine/data``."""
    given = os.environ.get(VARIABLE)
    return Path(given).expanduser() if given else Path.home() / ".cache" / "cl-engine" / "data"
