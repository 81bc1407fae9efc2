"""`python -m tests.benchmarks.account`: an account whose capacity changes, drawn and as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.benchmarks.measures import account_slots as slots
from tests.harness.account import Account, Auto, Loop

HERE = Path(__file__).parent
PAGE, PICTURE = HERE / "account.md", HERE / "pictures-account" / "changing-capacity.svg"
STEP = 5
QUEUE_LIMIT = 3
"""Tasks queued upstream above which the second account answers 429."""


def main() -> None:
    """Write both."""
    plain = Account(Auto(1), slots.CHANGES, until=slots.END, sigma=0.25).play()
    strict = Account(Auto(1), slots.CHANGES, until=slots.END, sigma=0.25, queue_limit=QUEUE_LIMIT).play()
    draw({"no limit to the queue": plain, f"429 with {QUEUE_LIMIT} queued": strict})
    PAGE.write_text("\n".join([*_text(), "", *_use(), "", *_changes(), "", *_minutes(plain, strict)]) + "\n")


def draw(nights: dict[str, Account]) -> None:
    """In flight, running and queued over time, with each 429, one panel a night."""
    import matplotlib as mpl  # noqa: PLC0415  only those who draw need it
    from matplotlib.figure import Figure as Picture  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = "batchrunner"
    picture = Picture(figsize=(9, 3 * len(nights)), layout="constrained")
    moments = range(0, int(slots.END), STEP)
    panels: Any = picture.subplots(len(nights), sharex=True)
    for axes, (title, night) in zip(panels, nights.items(), strict=True):
        axes.step(moments, [night.size(at) for at in moments], label="capacity", color="black", lw=0.8)
        axes.plot(moments, [night.in_flight(at) for at in moments], label="in flight", lw=0.8)
        axes.plot(moments, [night.running(at) for at in moments], label="running", lw=1.2)
        axes.plot(moments, [night.queued(at) for at in moments], label="queued", lw=0.8)
        axes.plot(night.refusals, [0.0] * len(night.refusals), "rx", label="429", clip_on=False)
        axes.set(title=title, ylabel="tasks", ylim=(0, 30))
        axes.grid(visible=True, alpha=0.3)
    panels[-1].set(xlabel="seconds")
    panels[0].legend(ncols=5, loc="upper right")
    PICTURE.parent.mkdir(exist_ok=True)
    picture.savefig(PICTURE, metadata={"Date": None})


def _text() -> list[str]:
    return [
        "# An account's slots, found and kept full",
        "",
        "Made by `python -m tests.benchmarks.account`, in virtual time: the simulator's gateway, which looks "
        "every 15 s, with our decisions. Jobs take 90 s, all alike (fixed) or spread (lognormal, 0.25).",
        "",
        f"![in flight, running, queued and 429s]({PICTURE.relative_to(HERE)})",
    ]


def _use() -> list[str]:
    rows = ["Ten slots, 150 tasks, between the tenth start and the tenth last end:", ""]
    rows += [
        "| | slots busy, fixed | polls a task | slots busy, lognormal | polls a task |",
        "|---|---|---|---|---|",
    ]
    players: dict[str, Any] = {"`concurrency: auto`": Auto}
    players |= {f"loop of {n} s, 10 at once": lambda _, n=n: Loop(n, slots.SLOTS) for n in slots.LOOPS}
    for name, player in players.items():
        found = [slots.slot_use(player, sigma) for sigma in slots.SPREADS.values()]
        rows.append(f"| {name} | " + " | ".join(f"{use:.1f} % | {polls:.1f}" for use, polls in found) + " |")
    return rows


def _changes() -> list[str]:
    rows = [
        "A capacity that changes every 20 minutes; slots busy from three generations after each change, and "
        "tasks ended in 80 minutes, beside an oracle that always has more queued upstream than can start:",
        "",
    ]
    sizes = " | ".join(str(size) for _, size in slots.CHANGES)
    rows += [f"| jobs | {sizes} | ended | oracle | share |", "|---|---|---|---|---|---|---|---|"]
    for kind, sigma in slots.SPREADS.items():
        night = Account(Auto(1), slots.CHANGES, until=slots.END, sigma=sigma).play()
        busy = " | ".join(f"{share:.1f} %" for _, share in slots.after_each_change(night))
        ended, most = slots.throughput(sigma, 1)
        rows.append(f"| {kind} | {busy} | {ended} | {most} | {100 * ended / most:.1f} % |")
    return rows


def _minutes(plain: Account, strict: Account) -> list[str]:
    rows = [
        "The nights of the picture, every two minutes; the second with 429s, since the row before:",
        "",
    ]
    rows += ["| minute | capacity | in flight | running | queued | in flight | running | queued | 429s |"]
    rows += ["|---|---|---|---|---|---|---|---|---|"]
    for at in range(0, int(slots.END), 120):
        cells = [night_cell for night in (plain, strict) for night_cell in _cells(night, at)]
        refused = sum(at - 120 < moment <= at for moment in strict.refusals)
        rows.append(f"| {at // 60} | {plain.size(at)} | {' | '.join(map(str, cells))} | {refused} |")
    return rows


def _cells(night: Account, at: float) -> tuple[int, int, int]:
    return night.in_flight(at), night.running(at), night.queued(at)


if __name__ == "__main__":
    main()
