"""A worker's threads share two heaps; of many each would keep what its busiest moment took. What is
large is in none of them.
"""

import os
import re
import subprocess
import sys

import pytest

from support.simulator import ROOT

# Eight threads are alive at once and take memory from the system's own `malloc`; then it tells of
# its heaps.
TAKE = """
import ctypes, threading
def take():
    all_there.wait()
    ctypes.CDLL(None).malloc(10_000)
    all_there.wait()
all_there = threading.Barrier(8)
threads = [threading.Thread(target=take) for _ in range(8)]
for one in threads: one.start()
for one in threads: one.join()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""
START = """
from celery import signals
from config.settings import read_settings
from workers.app import make_app
app = make_app(read_settings({
    "PASSERELLE_BROKER_URL": "redis://127.0.0.1:9/0",
    "PASSERELLE_DATABASE_URL": "postgresql://127.0.0.1:9/none",
    "PASSERELLE_SECRET_KEYS": "x" * 43 + "=",
}, env_file=False))
signals.celeryd_init.send(sender=None)
"""


# glibc's malloc would keep a large piece in a heap once it has seen such a piece freed. What is
# apart from the heaps is counted before and after.
TAKE_LARGE = """
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def tell():
    libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
    libc.fflush(None)
libc.free(libc.malloc(30_000_000))
tell()
libc.malloc(20_000_000)
tell()
"""


@pytest.mark.parametrize(("program", "shared"), [(TAKE, False), (START + TAKE, True)])
def test_threads_of_a_worker_share_two_heaps(program: str, *, shared: bool) -> None:
    assert (_told(program).count("<heap ") <= 2) is shared


@pytest.mark.parametrize(("program", "more"), [(TAKE_LARGE, 0), (START + TAKE_LARGE, 1)])
def test_what_is_large_goes_back_to_the_system(program: str, more: int) -> None:
    before, after = map(int, re.findall(r'<total type="mmap" count="(\d+)"', _told(program)))
    assert after - before == more


def _told(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
