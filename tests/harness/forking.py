"""Starts `batchrunner` often without importing it as often: one line of JSON on stdin, one process.

Each is a process of its own that carries the real command out: only its imports happened before. An order
has `arguments`, `environment`, `cwd` and the paths `stdin`, `stdout`, `stderr` and `code`; the answer is the
process's id. When it has ended, `code` holds its exit code, negative for the signal that ended it.
"""

import gc
import json
import os
import select
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

MODULES = ("cli.main", "engine.session", "manifest", "operations.check_urls", "output.results", "simulator")
"""What commands import when they need it; it is what the time goes into."""


def child(order: dict[str, Any]) -> NoReturn:
    """Become the command."""
    main = import_module("batchrunner.cli.main").main
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    for fd, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if fd else os.O_RDONLY
        os.dup2(os.open(str(order[name]), flags, 0o600), fd)
    try:
        code = main(order["arguments"])
    except SystemExit as end:  # argparse
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def keep_codes(codes: dict[int, Path]) -> None:
    """Keep the exit code of every command that has ended, in the file that was named for it."""
    for pid in list(codes):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = codes.pop(pid)
            part = code.with_suffix(".part")
            part.write_text(str(os.waitstatus_to_exitcode(status)))
            part.rename(code)


def fork(order: dict[str, Any]) -> int:
    """Start a command; return its process id."""
    if pid := os.fork():
        return pid
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child(order)


def serve() -> None:
    """Fork a command for each order, say its process id, and keep the codes of those that end."""
    codes: dict[int, Path] = {}
    ended, signalled = os.pipe()
    os.set_blocking(signalled, False)
    signal.set_wakeup_fd(signalled)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # it only ends the wait
    tail = b""
    while True:
        ready, _, _ = select.select([0, ended], [], [])
        if ended in ready:
            os.read(ended, 1 << 16)
            keep_codes(codes)
        if 0 in ready:
            chunk = os.read(0, 1 << 16)
            if not chunk:
                return
            *lines, tail = (tail + chunk).split(b"\n")
            for line in lines:
                order = json.loads(line)
                pid = fork(order)
                codes[pid] = Path(order["code"])
                print(pid, flush=True)  # noqa: T201


if __name__ == "__main__":
    for module in MODULES:
        import_module(f"batchrunner.{module}")
    gc.freeze()  # a collection in a child would copy every page that it shares with this process
    serve()
