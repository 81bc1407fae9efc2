"""Every rule broken once: `python -m tests.mutations [--machine] [WORD…]` says which breaks no test notices.

Each mutation is made in a copy of the checkout, and the tests named beside it must go red there; with
`--machine` it is the state machine alone that must. It takes some minutes and is no part of the normal
test run. WORDs choose mutations by their names.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COPIED = ("batchrunner", "tests", "schemas", "manifests", "pyproject.toml", "README.md")
MACHINE = "tests/integration/machine/test_machine.py"


class Mutation(NamedTuple):
    """One rule, broken."""

    name: str
    changes: tuple[tuple[str, str, str], ...]
    """File, what stands there once, and what takes its place."""
    tests: str
    """What must notice, separated by blanks."""


def from_files() -> list[Mutation]:
    """The mutations, as `mutations.txt` lists them."""
    found = []
    text = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
    for block in text.split("\n=== ")[1:]:
        name, _, rest = block.partition("\n")
        tests, *parts = rest.split("\n--- ")
        changes = []
        for part in parts:
            file, _, body = part.partition("\n")
            old, _, new = f"{body.rstrip()}\n".partition("\n+++\n")
            changes.append((f"batchrunner/{file}", old, new.removesuffix("\n")))
        found.append(Mutation(name, tuple(changes), tests.strip()))
    return found


def survives(mutation: Mutation, python: str) -> tuple[bool, str]:
    """Whether the tests stay green, and which one noticed first.

    Raises:
        AssertionError: what is to be changed does not stand there exactly once.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            source, copy = ROOT / name, Path(folder) / name
            if source.is_dir():
                shutil.copytree(
                    source, copy, ignore=shutil.ignore_patterns("__pycache__", "*.simulated", "*.run")
                )
            else:
                shutil.copy(source, copy)
        for file, old, new in mutation.changes:
            path = Path(folder) / file
            text = path.read_text(encoding="utf-8")
            assert text.count(old) == 1, f"{mutation.name}: {text.count(old)} × in {file}: {old}"
            path.write_text(text.replace(old, new), encoding="utf-8")
        command = [python, "-m", "pytest", "-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
        command += ["-o", "addopts=--import-mode=importlib", "-o", "timeout=200", *mutation.tests.split()]
        environment = {"PYTHONPATH": folder, "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, check=False, cwd=folder, env=environment, capture_output=True, text=True
        )
    noticed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if done.returncode not in (0, 1):
        noticed = noticed or [f"pytest ended with {done.returncode}: {done.stdout[-300:]}"]
    return done.returncode == 0, noticed[0].split(" - ")[0] if noticed else ""


def main() -> int:
    """Make every mutation that was asked for; the exit code says whether one went unnoticed."""
    words = [word for word in sys.argv[1:] if word != "--machine"]
    unnoticed = 0
    for mutation in from_files():
        if words and not any(word in mutation.name for word in words):
            continue
        began = time.monotonic()
        try:
            tests = MACHINE if "--machine" in sys.argv else mutation.tests
            alive, noticed = survives(mutation._replace(tests=tests), sys.executable)
        except AssertionError as error:
            alive, noticed = True, f"NOT MADE: {error}"
        unnoticed += alive
        files = " ".join(dict.fromkeys(file.removeprefix("batchrunner/") for file, _, _ in mutation.changes))
        took = f"{time.monotonic() - began:.0f} s"
        print(f"{mutation.name} | {files} | {'SURVIVED ' if alive else ''}{noticed} | {took}", flush=True)  # noqa: T201
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
