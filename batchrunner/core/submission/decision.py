"""The decision whether a submission may be sent, and its input."""

from __future__ import annotations

from dataclasses import dataclass

from batchrunner.core.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Go:
    """A submission may be sent; with `probe`, it is sent alone, and others wait for its outcome."""

    probe: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """No submission may be sent before `until` (None: before something else happens)."""

    why: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """No more submissions in this run; what is paid for is polled and collected."""

    why: str
    hint: str
    exit_code: ExitCode
    is_partial: bool = False
    """Whether the run went on with other accounts: it matters only if something is left."""


Decision = Go | Hold | Stop


@dataclass(frozen=True, slots=True)
class Situation:
    """What the gates base their decisions on."""

    now: float
    """Nominal seconds."""
    in_flight: int
    """Slots in use on the account, not counting the submission in question."""
    in_doubt: int
    """Tasks in doubt in the ledger."""
    chance: float = 0.5
    """In [0, 1)."""
    ended: tuple[int, int] = (0, 0)
    """How many tasks have failed, as far as `budget.failures` counts them, and how many succeeded."""
    wall: float = 0.0
    """Unix seconds."""
    elsewhere: int = 0
    """How many slots belong to other runs of the same command."""
    others: int = 0
    """Slots in use on other accounts of the command."""

    @property
    def own_in_flight(self) -> int:
        """Slots in use by this run, on all its accounts."""
        return self.everywhere - self.elsewhere

    @property
    def everywhere(self) -> int:
        """Slots in use by all runs, on all accounts."""
        return self.in_flight + self.others
