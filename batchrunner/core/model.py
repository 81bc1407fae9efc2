"""The domain types: tasks, attempts, and the values passed between components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

TaskKey = NewType("TaskKey", str)
"""A task's fingerprint: the hash of what was asked for. The ledger's key."""

RemoteId = NewType("RemoteId", str)
"""The gateway's `task_…` id of an accepted attempt."""

AttemptId = NewType("AttemptId", int)
"""The ledger's number of one submission."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a picture that is too large is made to fit when it is sent."""

    side: int
    """Pixels of its longer side, at most."""
    max_bytes: int


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A local picture that stands where the API takes a URL; sent as a data URI.

    Until it is sent, its content is known by its hash alone.
    """

    path: str
    """Absolute."""
    shown: str
    """As the user wrote it."""
    sha256: str
    mime: str
    size: int
    """Bytes."""
    width: int = 0
    """Pixels, seen upright; 0 where nobody knows."""
    height: int = 0
    fit: Fit | None = None
    """How a copy is made for sending; None for a file that is sent as it is."""


RequestValue = (
    str | int | float | bool | None | MediaFile | Sequence["RequestValue"] | Mapping[str, "RequestValue"]
)
"""What may stand in a request: JSON, and local files where the API takes a URL."""

Request = Mapping[str, RequestValue]
"""The normalised request body of one task (see `plan.normalise`)."""


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """One wanted video, as the manifest asks for it."""

    key: TaskKey
    position: int
    """Its place in the plan, from 0."""
    id: str
    """The user's, or made from prompt and fingerprint."""
    request: Request
    labels: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    """Where it was asked for: `file:line`, or file and row."""
    replica: int = 1
    """Counted from 1 among the tasks with equal requests."""
    first: TaskKey = TaskKey("")
    """The key of the first task with an equal request; its own where there is no other."""


@dataclass(frozen=True, slots=True)
class Pricing:
    """What a million tokens cost, by model; a model that is not listed has no known cost."""

    currency: str = ""
    per_million_tokens: Mapping[str, float] = field(default_factory=dict)

    def cost(self, model: str, tokens: int | None) -> float | None:
        """The price of `tokens`, in `currency`; None where it isn't known."""
        price = self.per_million_tokens.get(model)
        if price is None or tokens is None:
            return None
        return round(tokens * price / 1_000_000, 6)


class OnDoubt(StrEnum):
    """What becomes of a submission in doubt that the usage log does not settle."""

    KEEP = "keep"
    """It waits for a person."""
    RESUBMIT = "resubmit"
    """It is declared lost and submitted again: the person who wrote this may pay twice."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The manifest's `run` section, with its defaults; times in nominal seconds."""

    concurrency: int = 8
    """Generations in flight on the gateway."""
    submit_rate: float = 120.0
    """Submissions a minute, at most."""
    downloads: int = 4
    """Downloads at once."""
    submit_timeout: float = 120.0
    """How long the answer to a submission may take."""
    task_deadline: float = 3600.0
    """After this long in generation a task gives its slot back; it is still polled, and stays paid for."""
    max_in_doubt: int = 5
    """Submissions in doubt after which no further one leaves, but for a probe now and then."""
    on_doubt: OnDoubt = OnDoubt.KEEP
    retry_codes: tuple[str, ...] = (
        "OutputVideoSensitiveContentDetected",
        "OutputAudioSensitiveContentDetected",
        "InternalServiceError",
    )
    """Upstream codes of failed generations that are tried again: the same request may pass next time."""
    max_attempts: int = 2
    """Attempts at one video that may be charged, until a person says otherwise."""
    disk_reserve: int = 1_000_000_000
    """Bytes that must stay free."""
    draw_seed: bool = True
    """Derive a seed for each attempt that has none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A manifest, read, checked and expanded."""

    name: str
    """The run's name: the manifest's `name`, or its file's stem."""
    manifest: str
    """Absolute path of the manifest."""
    tasks: tuple[PlannedTask, ...]
    settings: RunSettings = RunSettings()
    pricing: Pricing = Pricing()
    base_url: str = ""
    """The gateway's address, where the manifest gives one."""
    named: bool = True
    """Whether the manifest gives the name; one that is made from the file's may change with its path."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One submission whose intent is on disk."""

    id: AttemptId
    task: TaskKey
    number: int
    """Counted from 1 in its task."""
    seed: int | None
    """The seed to be sent; None where the user turned seeds off."""
    submitted_at: float
    """Unix seconds."""
    refused: int = 0
    """Earlier refusals that only this task had."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation in flight."""

    key: TaskKey
    attempt: AttemptId
    remote_id: RemoteId
    accepted_at: float
    """Unix seconds, for the record."""
    began: float
    """Nominal seconds of the run's clock, which no change of the wall clock moves."""
    request: Mapping[str, object]
    seed: int | None
    """The seed that was sent."""
    adopted: bool = False
    """Its remote id did not come as the answer to its POST."""
    named: bool = False
    """A person gave the remote id, and the gateway has not shown it yet."""
    given_up: bool = False
    """It had failed without a last word of the gateway's, and is looked at once more."""

    @property
    def kind(self) -> str:
        """Generations of one kind take about the same time."""
        metadata = self.request.get("metadata")
        shape = metadata if isinstance(metadata, Mapping) else {}
        return f"{self.request.get('model')} {shape.get('resolution')} {shape.get('duration')}"
