"""`python -m tests.torture`: kills the real command everywhere, and sees whether it keeps its promises."""

from __future__ import annotations

import argparse
import math
import random
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from tests.harness.fork_server import ForkServer
from tests.torture import plan
from tests.torture.cases import Outcome, Stage
from tests.torture.tracing import unavailable

WIDTHS = (18, 7, 7, 7, 9)
DEFAULT_KILLS = 200
MOST_SHOWN, SHOWN = 10, 500
"""So many broken promises are shown, each with so many letters of its beginning and its end."""


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, help="which cases are drawn (default: a new one, printed)")
    parser.add_argument(
        "--kills",
        type=int,
        default=DEFAULT_KILLS,
        help=f"so many SIGKILLs at least; 0: each point once (default {DEFAULT_KILLS})",
    )
    parser.add_argument("--jobs", type=int, default=2, help="cases at once (default 2)")
    parser.add_argument("--only", metavar="KIND", default="", help=f"one kind: {', '.join(plan.KINDS)}")
    parser.add_argument("--repeat", metavar="CASE", help="one case, by the name that was printed")
    options = parser.parse_args(arguments)
    if not plan.chosen(options.only):
        parser.error(f"no kind is called {options.only}")
    return options


class Torture:
    """One session: plays cases, keeps what came of them."""

    def __init__(self, stage: Stage, jobs: int) -> None:
        self._stage, self._jobs = stage, jobs
        self.outcomes: list[Outcome] = []

    @property
    def kills(self) -> int:
        """How many SIGKILLs have hit so far."""
        return sum(outcome.kills for outcome in self.outcomes)

    def play(self, kind: str, names: Iterable[str]) -> None:
        """Play these cases, and say in a line how it went."""
        began, played = time.monotonic(), []
        with ThreadPoolExecutor(self._jobs) as pool:
            for outcome in pool.map(self._stage.play, names):
                played.append(outcome)
                if not outcome.wrong and outcome.folder:
                    shutil.rmtree(outcome.folder)
        self.outcomes += played
        wrong = sum(1 for outcome in played if outcome.wrong)
        said(f"{kind}: {len(played)} cases, {wrong} wrong, {time.monotonic() - began:.0f} s")


def said(text: str) -> None:
    """A line on stdout, at once."""
    print(text, flush=True)  # noqa: T201


def _shortened(text: str) -> str:
    """The beginning and the end of what went wrong."""
    return text if len(text) <= 2 * SHOWN else f"{text[:SHOWN]}\n…\n{text[-SHOWN:]}"


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """What was done and what came of it, by kind."""
    lines = [_row("kind", "cases", "hits", "missed", "promises", "the resumes ended with")]
    for kind in (*dict.fromkeys(outcome.kind for outcome in outcomes), ""):
        of_kind = [outcome for outcome in outcomes if kind in ("", outcome.kind)]
        endings = Counter(code for outcome in of_kind for code in outcome.endings)
        lines.append(
            _row(
                kind or "all",
                len(of_kind),
                sum(outcome.hits for outcome in of_kind),
                sum(1 for outcome in of_kind if not outcome.hits),
                sum(outcome.checked for outcome in of_kind),
                "  ".join(f"{code}: {number}" for code, number in sorted(endings.items())),
            )
        )
    return lines


def _row(*cells: object) -> str:
    fixed = [
        f"{cell:<{WIDTHS[0]}}" if n == 0 else f"{cell:>{WIDTHS[n]}}" for n, cell in enumerate(cells[:-1])
    ]
    return "  ".join([*fixed, str(cells[-1])])


def _all_kinds(torture: Torture, stage: Stage, options: argparse.Namespace, seed: int) -> None:
    reason, kinds = unavailable(), plan.chosen(options.only)
    for kind in kinds:
        if kind in plan.BY_STRACE and reason:
            said(f"{kind}: left out, {reason}")
        elif kind in plan.IN_A_BUCKET and not shutil.which("versitygw"):
            said(f"{kind}: left out, versitygw is not installed")
        else:
            torture.play(kind, plan.names(kind, seed, options.kills, stage.points, kinds))
    further = plan.more(seed)
    while "chance" in kinds and torture.kills < options.kills:
        torture.play(
            "chance",
            list(islice(further, math.ceil((options.kills - torture.kills) / plan.KILLS_IN_ONE["chance"]))),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what is asked for; 1 if a promise was broken."""
    options = _options(arguments)
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    home = Path(tempfile.mkdtemp(prefix="torture-"))
    fork_server = ForkServer(home, home / "pictures")
    stage = Stage(home, fork_server)
    torture = Torture(stage, options.jobs)
    try:
        if options.repeat:
            torture.play(options.repeat, [options.repeat])
        else:
            only = f" --only {options.only}" if options.only else ""
            said(f"python -m tests.torture --seed {seed} --kills {options.kills}{only}")
            _all_kinds(torture, stage, options, seed)
    finally:
        fork_server.close()
    said("\n".join(table(torture.outcomes)))
    wrong = [outcome for outcome in torture.outcomes if outcome.wrong]
    for outcome in wrong[:MOST_SHOWN]:
        said(f"\nBROKEN  {_shortened(outcome.wrong)}\n  folder  {outcome.folder}")
        said(f"  again   python -m tests.torture --repeat {shlex.quote(outcome.name)}")
    if not wrong:
        shutil.rmtree(home)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
