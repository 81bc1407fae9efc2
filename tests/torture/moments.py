"""Cases by chance: the kind of night, the moments of the kills and the signals are all drawn from a seed."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.harness.commands import Command, Ended
from tests.torture.case_folder import MORE_CHAINS, MORE_TASKS
from tests.torture.person import Person

MOST_KILLS = 5
"""In a row, before the run may come to its end."""
LONGEST = 1.6
"""Seconds until a kill, at most; a run without faults takes one."""
EVENTS = 22
"""A run of five tasks has about so many."""
SHARE_OF_CHAINS = 1 / 3
NIGHTS: Sequence[Mapping[str, Any]] = (
    {"on": "submit", "do": "slow_accept", "seconds": 150},
    {"on": "submit", "do": "hang_after_accept", "times": 1},
    {"on": "submit", "do": "cut_after_accept"},
    {"on": "submit", "do": "cut_before_accept"},
    {"on": "submit", "do": "html_502_after_accept"},
    {"on": "submit", "do": "html_502"},
    {"on": "submit", "do": "no_id_after_accept"},
    {"on": "submit", "do": "broken_json_after_accept"},
    {"on": "submit", "do": "429"},
    {"on": "submit", "do": "429_retry_after", "seconds": 20},
    {"on": "submit", "do": "503_model"},
    {"on": "poll", "do": "500"},
    {"on": "poll", "do": "cut"},
    {"on": "poll", "do": "unknown_state"},
    {"on": "generate", "do": "slow", "factor": 8},
    {"on": "download", "do": "cut", "source": "both"},
    {"on": "download", "do": "cut_chunked", "source": "both"},
    {"on": "download", "do": "html_200"},
    {"on": "download", "do": "garbage"},
    {"on": "download", "do": "slow", "seconds": 200},
)
"""What may go wrong; each befalls a third of the requests that it can, and at most three."""


def scenario_of(seed: int) -> dict[str, Any]:
    """The night that a seed stands for."""
    chance = random.Random(f"night {seed}")
    drawn = chance.sample(NIGHTS, chance.randint(0, 4))
    faults = [{"chance": 0.35, "times": 3, **fault} for fault in drawn]
    return {"seed": seed, "generation_sigma": 0.3, "faults": faults}


def tasks_of(seed: int) -> Mapping[str, Mapping[str, Any]]:
    """The tasks that a seed stands for: in a third of the cases, some need others."""
    return MORE_CHAINS if random.Random(f"tasks {seed}").random() < SHARE_OF_CHAINS else MORE_TASKS


def by_chance(person: Person, words: Sequence[str]) -> int:
    """SIGKILL at random moments, several times in a row."""
    chance = random.Random(f"kills {words[0]}")
    kills = 0
    for _ in range(chance.randint(1, MOST_KILLS)):
        run = person.desk.start_run()
        _some_moment(run, chance)
        kills += run.process.poll() is None
        run.process.kill()
        person.promises.after_kill(run.ended())
    return kills


def signalled(person: Person, words: Sequence[str]) -> int:
    """SIGINT or SIGTERM at a random moment, once or twice."""
    chance = random.Random(f"signals {words[0]}")
    desk, number, twice = person.desk, chance.choice((signal.SIGINT, signal.SIGTERM)), chance.random() < 0.5
    run = desk.start(*desk.run_arguments(), executed=True)  # a signal may come before it listens
    _some_moment(run, chance)
    if run.process.poll() is not None:
        person.promises.after_end(run.ended())
        return 0
    run.process.send_signal(number)
    if twice:
        time.sleep(chance.uniform(0, 0.1))
        run.process.send_signal(number)
    desk.note(f"{number.name} {'twice' if twice else 'once'}")
    _stopped(person, run.ended(), number, twice)
    return 1 + twice


def _stopped(person: Person, ended: Ended, number: int, twice: bool) -> None:
    """The first signal ends a run in order; a second one, or one before it listens, ends it at once."""
    if ended.code == -number or twice:
        person.promises.after_kill(ended)
    else:
        person.promises.after_end(ended, 128 + number)
        person.promises.no_part_files()


def _some_moment(run: Command, chance: random.Random) -> None:
    """Some time, or some event."""
    events, moment = chance.randrange(EVENTS), time.monotonic() + chance.uniform(0, LONGEST)
    by_events = chance.random() < 0.5
    while run.process.poll() is None and time.monotonic() < moment:
        if by_events and len(run.events()) > events:
            return
        time.sleep(0.003)
