"""The C library's allocator, told to keep what training frees and asks for again in every step."""

from __future__ import annotations

import contextlib
import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Let a process keep large blocks that it frees; for processes that do nothing but run a scenario.

    By default activations are mapped and unmapped anew in every step, which takes a fifteenth of the time of a
    ResNet's.  Where the C library is another than glibc nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, 1 << 30)
        library.mallopt(TRIM_THRESHOLD, 2**31 - 1)
