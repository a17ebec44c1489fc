"""Where the threads of a worker take memory from."""

import contextlib
import ctypes

# `M_ARENA_MAX` of glibc's malloc.h.
_ARENAS_AT_MOST = -8
_HEAPS = 2


def share_heaps() -> None:
    """To be called before there are threads; on other systems than glibc nothing happens.

    glibc gives threads up to eight heaps for each core, so that they need not wait for each other,
    and each heap keeps what its busiest moment took. Python's threads wait for each other anyway;
    with one heap instead of two they were slower all the same (ADR 19).
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_ARENAS_AT_MOST, _HEAPS)
