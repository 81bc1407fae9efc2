"""Pictures of the curves: how time and memory grow with the number of tasks. Needs the extra `benchmarks`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.figures import Figure


def draw(figures: Iterable[Figure], folder: Path) -> list[Path]:
    """One SVG picture for each curve with at least two points; returns their paths."""
    import matplotlib as mpl  # noqa: PLC0415  only those who draw need it
    from matplotlib.figure import Figure as Picture  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = "batchrunner"  # the same figures give the same file
    curves: dict[str, dict[int, float]] = {}
    for figure in figures:
        if figure.curve:
            curves.setdefault(figure.curve, {})[figure.size] = figure.value
    paths = []
    for name, points in curves.items():
        if len(points) < 2:
            continue
        picture = Picture(figsize=(5, 3), layout="constrained")
        axes = picture.add_subplot()
        axes.plot(sorted(points), [points[size] for size in sorted(points)], marker="o")
        axes.set(xscale="log", xlabel="tasks", ylabel=name)
        if max(points.values()) > 20 * min(points.values()):
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, 1.1 * max(points.values()))
        axes.grid(visible=True, alpha=0.3)
        path = folder / f"{'-'.join(name.replace(',', '').lower().split())}.svg"
        picture.savefig(path, metadata={"Date": None})
        paths.append(path)
    return paths
