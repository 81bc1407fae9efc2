"""Starts `batchrunner simulator` often without importing it as often: one line of JSON on stdin, one fork.

Each is a process of its own that carries the real command out, and ends when its stdin does. An order has
`arguments` and the paths `stdin` (a FIFO), `stdout` and `stderr`; the answer is the process's id.
"""

import json
import os
import signal
import sys

import batchrunner.simulator  # imported here, once: it is what the time goes into
from batchrunner.cli.main import main


def child(order: dict[str, object]) -> None:
    """Become the command; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for fd, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if fd else os.O_RDONLY
        os.dup2(os.open(str(order[name]), flags, 0o600), fd)
    os._exit(main(order["arguments"]))


if __name__ == "__main__":
    assert batchrunner.simulator.Simulator
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    for line in sys.stdin:
        if pid := os.fork():
            print(pid, flush=True)  # noqa: T201
        else:
            child(json.loads(line))
