"""The page of the benchmarks: its figures are made from a run that is kept beside it."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks import bounds, curves, table
from tests.benchmarks.kept import BenchmarkRun

HERE = Path(__file__).parent
README, SHOWN, PICTURES = HERE / "README.md", HERE / "shown.json", HERE / "pictures"
BEGIN, END = "<!-- figures: made by --write-readme -->\n", "<!-- end of the figures -->\n"


def write(run: BenchmarkRun) -> None:
    """Show a run: its figures in the page, its curves as pictures, and itself beside them."""
    SHOWN.write_text(run.to_json() + "\n", encoding="utf-8")
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.glob("*.svg"):
        old.unlink()
    curves.draw(run.figures, PICTURES)
    README.write_text(with_figures(README.read_text(encoding="utf-8"), run), encoding="utf-8")


def with_figures(page: str, run: BenchmarkRun) -> str:
    """The page with this run's figures in place of those that it shows."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{figures(run)}{END}{after}"


def figures(run: BenchmarkRun) -> str:
    """Machine and date, the table, the curves, and what bounds more."""
    pictures = [f"![{path.stem}](pictures/{path.name})" for path in sorted(PICTURES.glob("*.svg"))]
    lines = [
        f"{run.machine}; {run.at[:10]}, commit {run.commit}.",
        "",
        *table.markdown(run.figures),
        "",
        "## Curves",
        "",
        *pictures,
        "",
        "## What bounds more",
        "",
        *bounds.lines({one.name: one for one in run.figures}),
    ]
    return "\n".join(lines).rstrip() + "\n"
