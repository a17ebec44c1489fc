"""Where the threads of a worker take memory from."""

import contextlib
import ctypes

# `M_ARENA_MAX` and `M_MMAP_THRESHOLD` of glibc's malloc.h.
_ARENAS_AT_MOST, _APART_FROM = -8, -3
_HEAPS = 2
_LARGE_BYTES = 128 * 1024


def keep_heaps_small() -> None:
    """To be called before there are threads; on other systems than glibc nothing happens.

    glibc gives threads up to eight heaps for each core, so that they need not wait for each other,
    and each heap keeps what its busiest moment took. Python's threads wait for each other anyway;
    with one heap instead of two they were slower all the same (ADR 19). And of what is as large as
    a batch, which glibc first takes apart from the heaps, the heaps grow once it has been freed;
    told from which size on it is to be apart, it keeps to that.
    """
    with contextlib.suppress(AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_ARENAS_AT_MOST, _HEAPS)
        libc.mallopt(_APART_FROM, _LARGE_BYTES)
