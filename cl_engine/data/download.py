"""A checked download: all of a file, or none of it."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

from tqdm import tqdm

from cl_engine.data.samples import DataError
from cl_engine.kinds.problems import one_line

BLOCK = 1 << 20
TIMEOUT = 60  # seconds without a byte
HERE = ("127.0.0.1", "localhost", "::1")


def md5_of(path: Path) -> str:
    """Return the MD5 of a file, as hexadecimal digits."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def download(url: str, path: Path, md5: str) -> None:
    """Download ``url`` to ``path``, under another name until all of it is there and has the MD5 ``md5``.

    Progress goes to standard error.  Only https is spoken, and http with this machine itself.

    Raises:
        DataError: it cannot be had, has another MD5, or cannot be written.
    """
    parts = urllib.parse.urlsplit(url)
    if not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in HERE)):
        raise DataError(f"{url} is not downloaded; allowed: https")
    new: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        new = Path(name)
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            length = answer.headers.get("Content-Length")
            digest = hashlib.md5(usedforsecurity=False)
            with tqdm(total=int(length) if length else None, unit="B", unit_scale=True, desc=path.name) as bar:
                while block := answer.read(BLOCK):
                    file.write(block)
                    digest.update(block)
                    bar.update(len(block))
        if digest.hexdigest() != md5:
            raise DataError(f"{url} came with MD5 {digest.hexdigest()}; allowed: {md5}")
        os.chmod(new, 0o644)
        new.replace(path)
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, DataError):
            raise
        what = f"{url} could not be downloaded: {one_line(error)}"
        raise DataError(f"{what}; allowed: try again, or bring it to {str(path)!r} yourself") from None
    finally:
        if new is not None:
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
