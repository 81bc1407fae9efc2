"""Records of tasks and of the ledger, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from batchrunner.core.model import AttemptId, Pricing, RemoteId, RunSettings, TaskKey
from batchrunner.core.policy import may_be_paid_for
from batchrunner.core.states import TaskState

WAITING_FOR = "waiting_for"
"""Why the current run is not submitting, in words; empty while it is."""


class TaskRecord(NamedTuple):
    """A task and its newest attempt. Times are Unix seconds."""

    key: TaskKey
    position: int | None
    """Place in the plan; None: no longer in the manifest."""
    id: str
    file_name: str
    source: str
    request: Mapping[str, Any]
    inputs: tuple[str, ...]
    labels: Mapping[str, str]
    state: TaskState
    attempts: int
    refused: int
    not_before: float | None
    error_code: str
    error_message: str
    warnings: tuple[str, ...]
    attempt: AttemptId | None
    seed: int | None = None
    submitted_at: float | None = None
    outcome: str | None = None
    http_status: int | None = None
    request_id: str | None = None
    remote_id: RemoteId | None = None
    accepted_at: float | None = None
    finished_at: float | None = None
    generation_seconds: float | None = None
    tokens: int | None = None
    cost: float | None = None
    currency: str | None = None
    hold: int | None = None
    """Quota units that the gateway showed while it was generating."""
    result_url: str | None = None
    last_frame_url: str | None = None
    collected_at: float | None = None
    size: int | None = None
    sha256: str | None = None
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    last_frame_file: str | None = None
    looked_up: str | None = None
    """What the usage log showed about a submission in doubt, and when."""
    candidates: str | None = None
    """JSON list of the gateway's tasks that may be the submission in doubt."""
    content_dead_at: float | None = None
    """When the gateway was found to no longer have the video."""
    link_dead_at: float | None = None
    """The same for the model's own link."""
    file_state: str | None = None
    """A `FileState`: the result of the last check of the finished video's file."""
    account: str | None = None
    """The name of the account that it was submitted with; empty if that had none. None without an attempt."""

    @property
    def links_dead(self) -> bool:
        """Whether no source has the video any more."""
        return self.content_dead_at is not None and not (self.result_url and self.link_dead_at is None)

    @property
    def may_be_paid_for(self) -> bool:
        """Whether it failed after the gateway had accepted it, without a confirmed refund.

        It may be charged, and may still exist there: polling it again is free, resubmitting pays again.
        """
        return may_be_paid_for(self.state is TaskState.FAILED, self.remote_id, self.error_code, self.tokens)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The request's `metadata`."""
        found = self.request.get("metadata")
        return found if isinstance(found, dict) else {}

    @property
    def model(self) -> str:
        """The requested model."""
        return str(self.request.get("model", ""))


class Standing(NamedTuple):
    """Where a task stands."""

    state: TaskState
    error_code: str
    is_planned: bool


class FinishedFile(NamedTuple):
    """The file of a finished video, as recorded in the ledger."""

    key: TaskKey
    attempt: AttemptId
    file_name: str
    size: int
    """Bytes."""
    sha256: str
    collected_at: float
    """Unix seconds."""
    state: str
    """A `FileState`: the result of the last check."""
    seen: str
    """Size and mtime of the file at the last check; empty if it was never checked."""


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """One entry of a task's history."""

    at: float
    event: str
    from_state: str
    to_state: str
    attempt: int | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Binding:
    """What a run directory belongs to."""

    gateway: str
    manifest: str
    name: str
    settings: RunSettings
    pricing: Pricing
    models: str = ""
    """What the manifest's models file says, as JSON; empty if it names none."""
    videos: str = ""
    """URL of the place of its videos; empty for the run directory."""
    former_gateways: tuple[str, ...] = ()
    """Former addresses of the same gateway."""
