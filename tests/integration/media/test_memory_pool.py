"""Threads that decode videos don't keep a pool of memory each."""

import ctypes
import subprocess
import sys

import pytest

from batchrunner.cli.process import share_memory_pool

THREADS = 6
PROGRAM = f"""
import ctypes, sys, threading
from batchrunner.cli.process import share_memory_pool

if sys.argv[1] == "shared":
    share_memory_pool()
together = threading.Barrier({THREADS})

def work():
    taken = bytearray(100_000)
    together.wait()

threads = [threading.Thread(target=work) for _ in range({THREADS})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


def pools(how):
    ran = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return ran.stdout.count("<heap nr=")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="only glibc has pools for threads")
def test_all_threads_take_memory_from_one_pool():
    """Each thread would have one of its own, and there are as many that decode as the machine has cores."""
    assert pools("own") > 1
    assert pools("shared") == 1


def test_a_python_that_cannot_ask_for_it_works_without(monkeypatch):
    """Some are built without libffi."""
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert share_memory_pool() is None
