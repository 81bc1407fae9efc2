"""The domain types: tasks, attempts, and the values passed between components."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, NewType

from batchrunner.core.budget import Budget
from batchrunner.core.kinds import Kind, kind_of

if TYPE_CHECKING:
    from batchrunner.core.content import Content
    from batchrunner.core.planned_tasks import PlannedTasks

TaskKey = NewType("TaskKey", str)
"""A task's fingerprint: the hash of its request. The ledger's key."""
RemoteId = NewType("RemoteId", str)
"""The gateway's `task_…` ID of an accepted attempt."""
AttemptId = NewType("AttemptId", int)
"""The ledger's number of one submission."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a picture that is too large is scaled down for sending."""

    side: int
    """Maximum length of the longer side, in pixels."""
    max_bytes: int


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A local file used where the API takes a URL: a picture is sent as a data URI, anything else by a link.

    Until it is sent, only the hash of its content is kept.
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
    """Pixels, after EXIF rotation; 0 if unknown."""
    height: int = 0
    fit: Fit | None = None
    """How the copy to send is scaled down; None if the file is sent as is."""

    @property
    def is_picture(self) -> bool:
        """Whether it is one, and not a video or sound."""
        return self.mime.startswith("image/")


class Part(StrEnum):
    """What a task can need of another one's video."""

    LAST_FRAME = "last_frame"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """Part of another task's video, used where the API takes a URL; made only when the request is sent."""

    task: TaskKey
    """The task that is needed."""
    part: Part
    shown: str
    """As a user would write it: `task:ID/last_frame`, with the ID of just this task."""
    seconds: int = 0
    """How long the needed task's video is to be; 0 if the model chooses, or it is given as frames."""


RequestValue = (
    str
    | int
    | float
    | bool
    | None
    | MediaFile
    | TaskOutput
    | Sequence["RequestValue"]
    | Mapping[str, "RequestValue"]
)
"""A value in a request: JSON, or a local file or another task's output where the API takes a URL."""

Request = Mapping[str, RequestValue]
"""The normalised request body of one task (see `request.normalise`)."""


class PlannedTask(NamedTuple):
    """One video requested by the manifest."""

    position: int
    """Its position in the plan, from 0."""
    key: TaskKey
    id: str
    """Set by the user, or generated from the prompt and the fingerprint."""
    content: Content
    """Its request."""
    labels_text: str = "{}"
    """Its labels, as a JSON object."""
    source: str = ""
    """Where it is defined: `file:line`, or file and row."""
    replica: int = 1
    """Counted from 1 among the tasks with identical requests."""
    first: TaskKey = TaskKey("")
    """The key of the first task with an identical request; its own if there is no other."""

    @property
    def request(self) -> Request:
        """The normalised request."""
        return self.content.request

    @property
    def labels(self) -> Mapping[str, str]:
        """The user's own columns."""
        labels: dict[str, str] = json.loads(self.labels_text)
        return labels


@dataclass(frozen=True, slots=True)
class Pricing:
    """The price of a million tokens, by model; the cost of models not listed is unknown."""

    currency: str = ""
    per_million_tokens: Mapping[str, float] = field(default_factory=dict)
    factor: float = 1.0
    """What an account pays in relation to these prices, or to the list prices."""


class OnDoubt(StrEnum):
    """What to do with a submission in doubt that the usage log does not settle."""

    KEEP = "keep"
    """Leave it to the user."""
    RESUBMIT = "resubmit"
    """Declare it lost and submit it again: the user may pay twice."""


class StopMode(StrEnum):
    """What a run does when its window closes or its deadline passes."""

    DRAIN = "drain"
    """Submit nothing more, wait for what is in flight, and collect it."""
    DETACH = "detach"
    """End at once; the next run polls and collects what is in flight."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """How many tasks may be queued upstream beyond those that run."""

    count: int = 0
    percent: int = 0
    """Of those that run, rounded up, at least 1; instead of `count`."""

    def of(self, running: int) -> int:
        """How many while so many run."""
        return max(1, -(-running * self.percent // 100)) if self.percent else self.count


AUTO = 0
"""The `concurrency` that finds the account's capacity by itself."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The manifest's `run` section, with its defaults; times in nominal seconds."""

    concurrency: int = 8
    """Generations in flight on the gateway; `AUTO` for as many as the account is seen to run."""
    max_concurrency: int = 64
    """The most in flight with `AUTO`."""
    ahead: Ahead | None = None
    """How many more are kept queued upstream; None for 20 % with `AUTO`, or else none."""
    submit_rate: float = 120.0
    """Maximum submissions per minute."""
    downloads: int = 4
    """Concurrent downloads."""
    videos: str = ""
    """URL of the place where finished videos are stored; empty for the run directory."""
    submit_timeout: float = 120.0
    """How long to wait for the answer to a submission."""
    task_deadline: float = 3600.0
    """After generating for this long, a task frees its slot; it is still polled, and stays paid for."""
    max_in_doubt: int = 5
    """With this many submissions in doubt, only an occasional probe is submitted."""
    on_doubt: OnDoubt = OnDoubt.KEEP
    retry_codes: tuple[str, ...] = (
        "OutputVideoSensitiveContentDetected",
        "OutputAudioSensitiveContentDetected",
        "InternalServiceError",
    )
    """Upstream codes of failed generations to retry: the same request may succeed next time."""
    max_attempts: int = 2
    """Maximum attempts at one video that may be charged, unless the user allows more."""
    disk_reserve: int = 1_000_000_000
    """Bytes to keep free on the disk."""
    draw_seed: bool = True
    """Derive a seed for each attempt without one."""
    window: str = ""
    """The part of each day in which to submit, such as `22:00-07:00`; empty for always."""
    timezone: str = ""
    """IANA name of the zone that times of day are in; empty for the system's."""
    deadline: str = ""
    """When to stop submitting: a duration, a time of day, or a date with time; empty for never."""
    stop: StopMode = StopMode.DRAIN
    canary: bool = True
    """Whether the first videos of each kind must be as requested before many of them are paid for."""
    confirm_above: float | None = None
    """A run that may cost more than this must be confirmed; None if none must be."""
    on_end: str = ""
    """The shell command to start at the end of each run; empty for none."""
    weight: int = 1
    """Its share of the account's slots, in relation to other runs of the same command."""

    @property
    def most_in_flight(self) -> int:
        """How many of its tasks may be in flight or queued upstream at most."""
        if self.concurrency == AUTO:
            return self.max_concurrency
        return self.concurrency + (self.ahead or Ahead()).of(self.concurrency)


@dataclass(frozen=True, slots=True)
class Plan:
    """A manifest after reading, checking and expansion."""

    name: str
    """The run's name: the manifest's `name`, or its file's stem."""
    manifest: str
    """Absolute path of the manifest."""
    tasks: PlannedTasks
    settings: RunSettings = RunSettings()
    pricing: Pricing = Pricing()
    budget: Budget = field(default_factory=Budget)
    base_url: str = ""
    """The gateway's address, if the manifest sets one."""
    named: bool = True
    """Whether the manifest sets the name; one derived from the file name may change with its path."""
    models: str = ""
    """What its models file says, as JSON; empty if it names none."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One submission whose intent is on disk."""

    id: AttemptId
    task: TaskKey
    number: int
    """Counted from 1 within its task."""
    seed: int | None
    """The seed to send; None if the user turned seeds off."""
    submitted_at: float
    """Unix seconds."""
    refused: int = 0
    """Earlier refusals that count against this task."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation in flight."""

    key: TaskKey
    attempt: AttemptId
    remote_id: RemoteId
    accepted_at: float
    """Unix seconds, for the record."""
    began: float
    """Nominal seconds of the run's clock, which changes of the wall clock don't affect."""
    request: Request
    seed: int | None
    """The seed that was sent."""
    adopted: bool = False
    """Its remote ID did not come from the answer to its POST."""
    named: bool = False
    """The remote ID was set by the user, and the gateway has not shown it yet."""
    given_up: bool = False
    """It failed without a final answer from the gateway, and is polled once more."""
    hold: int | None = None
    """Quota units that the gateway showed while it was generating; None if not seen (yet)."""

    def holding(self, quota: int | None) -> Generation:
        """The same with what a poll shows as its quota: the most that was seen, as long as it is a charge."""
        return replace(self, hold=quota) if quota and quota > max(self.hold or 0, 0) else self

    @property
    def kind(self) -> Kind:
        """Its kind."""
        return kind_of(self.request)
