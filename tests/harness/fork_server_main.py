"""The process behind fork_server.py: imports batchrunner once, then forks a command for each order.

An order is one line of JSON on stdin with `arguments`, `environment`, `cwd` and the paths `stdin`, `stdout`,
`stderr` and `code`; the answer is the process id. Each fork is a process of its own that runs the real
command; only its imports happened before. When it has ended, the file `code` holds its exit code, negative
for the signal that killed it.
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

MODULES = (
    *(
        f"cli.{name}"
        for name in (
            "doctor",
            "init",
            "main",
            "recover",
            "resolve",
            "results",
            "retry",
            "run",
            "set",
            "simulator",
            "status",
        )
    ),
    *(
        "cli.validate",
        "cli.plan",
        "engine.session",
        "manifest",
        "operations.check_urls",
        "operations.examination",
        "output.results",
        "simulator",
    ),
)
"""What commands import on demand, which is what takes the time."""


def child(order: dict[str, Any]) -> NoReturn:
    """Run the command in this forked process, and exit."""
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


def write_codes(codes: dict[int, Path]) -> None:
    """Write the exit code of every command that has ended to the file its order names."""
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
    """Fork a command for each order, print its process id, and write the exit codes of those that end."""
    codes: dict[int, Path] = {}
    ended, signalled = os.pipe()
    os.set_blocking(signalled, False)
    signal.set_wakeup_fd(signalled)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # the handler only wakes the select
    tail = b""
    while True:
        ready, _, _ = select.select([0, ended], [], [])
        if ended in ready:
            os.read(ended, 1 << 16)
            write_codes(codes)
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
