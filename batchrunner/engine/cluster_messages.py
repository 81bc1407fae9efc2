"""What is the same in all messages to and from the process that uses a cluster: one JSON object a line.

The first line to the child is the setup, each other one a request with a number. Each line from the child is
the answer to one number. There is no key in any of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

TRY_WITHIN = 120.0
"""Real seconds for one try of a request that doesn't say how many it needs."""


class Work(StrEnum):
    """What workers of a cluster can do."""

    FETCH = "fetch"
    """Download videos."""
    SHARD = "shard"
    """Make shards of a dataset."""


@dataclass(frozen=True, slots=True)
class NotHere:
    """The cluster can't do it; this says nothing about the video."""

    why: str


def setup_line(work: Work, values: Mapping[str, object]) -> str:
    """The setup as one line: what holds for all requests. `cluster` is among the values."""
    return json.dumps({"work": work, **values})


def read_setup(line: str | bytes) -> tuple[Work, dict[str, Any]]:
    """The work and the values in a setup."""
    values = json.loads(line)
    return Work(values.pop("work")), values


def request_line(number: int, request: Mapping[str, object], seconds: float = TRY_WITHIN) -> str:
    """A request as one line; a try of it may take so many real seconds."""
    return json.dumps({"number": number, "seconds": seconds, "request": request})


def read_request(line: str | bytes) -> tuple[int, float, dict[str, Any]]:
    """The number, the seconds for a try, and the request in a line."""
    message = json.loads(line)
    return message["number"], message["seconds"], message["request"]


def answer_line(number: int, kind: str, values: Mapping[str, object]) -> str:
    """An answer as one line."""
    return json.dumps({"number": number, kind: values})


def not_here_line(number: int, why: str) -> str:
    """The answer that the cluster can't do it; for the number 0, it is about all requests."""
    return answer_line(number, "not_here", {"why": why})


def read_answer(line: str | bytes) -> tuple[int, str, dict[str, Any]]:
    """The number, the kind and the values in an answer.

    Raises:
        ValueError: it is not an answer.
    """
    try:
        message: dict[str, Any] = json.loads(line)
        number, (kind, values) = int(message.pop("number")), message.popitem()
        return number, kind, dict(values)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not an answer") from error
