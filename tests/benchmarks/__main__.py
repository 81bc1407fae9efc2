"""`python -m tests.benchmarks`: measure how fast the program is, beside what is unavoidable.

Prints each figure with its floor, their ratio and the goal, and what changed since the last kept run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks import kept, page, table
from tests.benchmarks.catalogue import MEASURES
from tests.benchmarks.figures import Figure, Measure
from tests.benchmarks.stage import Stage

BY_NAME = {measure.name: measure for measure in MEASURES}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help="take only these (default: all)")
    parser.add_argument("--list", action="store_true", help="list the measures")
    parser.add_argument("--short", action="store_true", help="tiny sizes, to see that everything works")
    parser.add_argument("--keep", metavar="DIR", type=Path, default=Path(".benchmarks"), help="kept runs")
    parser.add_argument("--kept", action="store_true", help="measure nothing: show the newest kept figures")
    parser.add_argument("--write-readme", action="store_true", help="show the newest figures in the README")
    options = parser.parse_args(arguments)
    if unknown := set(options.measures) - set(BY_NAME):
        parser.error(f"no measure {', '.join(sorted(unknown))}; --list lists them")
    if options.short and options.write_readme:
        parser.error("the figures of a short run say nothing, so the README can't show them")
    if options.write_readme and not find_spec("matplotlib"):
        parser.error("drawing the curves needs pip install -e '.[benchmarks]'")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report; 1 if a measure could not be taken."""
    options = _options(arguments)
    if options.list:
        said(f"{one.name:<16}{'' if one.by_default else '(only by name) '}{one.what}" for one in MEASURES)
        return 0
    before, failed = kept.read(options.keep, options.short), False
    if options.kept:
        said(table.lines(kept.merged(before).figures, {}) if before else ["no run is kept"])
    else:
        chosen = [BY_NAME[name] for name in options.measures]
        run = kept.begun(options.short)
        figures, failed = _take(chosen or [one for one in MEASURES if one.by_default], options.short)
        run = replace(run, figures=tuple(figures))
        said(table.lines(run.figures, kept.newest(before)))
        said([f"kept as {kept.keep(options.keep, run)}"])
        before.append(run)
    if options.write_readme and before:
        page.write(kept.merged(before))
    return int(failed)


def _take(measures: Iterable[Measure], short: bool) -> tuple[list[Figure], bool]:
    """The figures of these measures, and whether one could not be taken."""
    figures, failed = [], False
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as home:
        for measure in measures:
            began = time.monotonic()
            try:
                figures += taken(measure, Path(home), short, Path(home) / "pictures")
                said([f"{measure.name}: {time.monotonic() - began:.0f} s"])
            except Exception:  # what the others took many minutes for must not be lost
                failed = True
                said([f"{measure.name} FAILED", traceback.format_exc()])
    return figures, failed


def taken(measure: Measure, home: Path, short: bool, pictures: Path) -> list[Figure]:
    """Take one measure, in a folder of its own that is removed afterwards; a short one judges nothing."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        stage = Stage(Path(folder), short, pictures)
        try:
            figures = list(measure.take(stage))
        finally:
            stage.close()
    return [replace(figure, goal=None) for figure in figures] if short else figures


def said(lines: Iterable[str]) -> None:
    """Print lines at once."""
    print(*lines, sep="\n", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
