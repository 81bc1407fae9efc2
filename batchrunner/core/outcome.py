"""Outcomes of calls to the gateway, as plain values. The gateway client returns these and never raises."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from batchrunner.core.doubts.adoption import UsageRow
from batchrunner.core.model import RemoteId

PROXY = "proxy"
"""Our code for an answer from the environment's proxy, not from the gateway."""
NOT_VISIBLE = "task_not_exist"
"""The gateway's code for an unknown task."""
UPSTREAM = "upstream_"
"""Prefix of our codes for a task that has ended at the model but not at the gateway."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Status, codes and message of an answer, kept with the attempt for support."""

    status: int = 0
    """HTTP status; 0 if there was no answer."""
    request_id: str = ""
    """The gateway's `X-Oneapi-Request-Id`."""
    code: str = ""
    """The machine-readable code: the upstream's if there is one, else the gateway's."""
    message: str = ""
    """For display only: localised by the gateway, so no decision may depend on it."""

    @property
    def said(self) -> str:
        """What the answer was, in words."""
        return self.message or self.code or f"HTTP {self.status}"


class Refusal(StrEnum):
    """Why a submission was certainly not accepted, though the request may be fine."""

    UNREACHABLE = "unreachable"
    """No connection: not one byte of the request was sent."""
    THROTTLED = "throttled"
    """429 in any form."""
    MODEL_UNAVAILABLE = "model_unavailable"
    """No live channel for this model."""
    GATEWAY_BUSY = "gateway_busy"
    """An error of the gateway itself, before it called the model."""
    REFUNDED = "refunded"
    """The gateway's call to the model failed, and it released the hold."""


class AccountFault(StrEnum):
    """The account problem that keeps submissions from being accepted."""

    KEY = "key"
    """The key is unknown, expired, used up, or lacks a permission."""
    MODEL = "model"
    """The key may not use this model, or any at all: trying other models shows which."""
    BALANCE = "balance"
    """The balance is too low for the hold of one more task."""
    OPERATOR = "operator"
    """The model refuses the gateway's own account."""
    UNREACHABLE = "unreachable"
    """Nothing answers at this address."""
    ADDRESS = "address"
    """Something other than the gateway's API answers at this address."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The gateway has the task and will bill it."""

    remote_id: RemoteId
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """Certainly not accepted; may be sent again later."""

    why: Refusal
    receipt: Receipt
    retry_after: float | None = None
    """Seconds that the gateway asked to wait."""


@dataclass(frozen=True, slots=True)
class AccountRefused:
    """Certainly not accepted, and the next one would not be either."""

    fault: AccountFault
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Rejected:
    """Certainly not accepted: the request is invalid, and retrying won't help."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Unknown:
    """May have been accepted and charged. Never resent automatically."""

    receipt: Receipt


SubmitOutcome = Accepted | NotAdmitted | AccountRefused | Rejected | Unknown


class UpstreamPlace(StrEnum):
    """Where an unfinished task is upstream."""

    UNKNOWN = "unknown"
    """Not seen there yet, or a state that doesn't say."""
    QUEUED = "queued"
    RUNNING = "running"


_PLACES = {
    **dict.fromkeys(("queued", "pending"), UpstreamPlace.QUEUED),
    **dict.fromkeys(("running", "processing", "in_progress"), UpstreamPlace.RUNNING),
}


@dataclass(frozen=True, slots=True)
class InProgress:
    """Not finished, or in an unknown state."""

    status: str
    upstream_status: str
    """The model's own status; `expired`, `cancelled` and `failed` are final."""
    raw: str
    quota: int | None = None
    """Quota units held for it; None if not reported."""

    @property
    def place(self) -> UpstreamPlace:
        """Where the task is, by the model's own word or else by the gateway's."""
        return _PLACES.get((self.upstream_status or self.status).lower(), UpstreamPlace.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The video is ready."""

    result_url: str
    """http(s), or empty."""
    last_frame_url: str
    tokens: int | None
    finished_at: float | None
    """Unix seconds, by the gateway's clock."""
    echo: Echo
    raw: str
    quota: int | None = None
    """Quota units that the gateway charges for it, or still only holds; None if not reported."""


@dataclass(frozen=True, slots=True)
class Echo:
    """The parameters of the video as reported by the model; None if not reported."""

    duration: int | None = None
    resolution: str | None = None
    ratio: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationFailed:
    """The gateway reports FAILURE. `code` is the upstream's, empty if the gateway itself gave up."""

    code: str
    message: str
    finished_at: float | None
    raw: str
    refunded: bool = True
    """False as long as nothing shows that the gateway refunded it."""
    charged: int | None = None
    """Quota units that the gateway still charges for it: 0 after a refund, None if not reported."""


@dataclass(frozen=True, slots=True)
class NotVisible:
    """`task_not_exist`: this ID is unknown, or not visible to this key."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class QueryRefused:
    """401 or 403 for a query; says nothing about the task."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class QueryFailed:
    """No usable answer; says nothing about the task."""

    receipt: Receipt
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class UsageLog:
    """The newest rows of the key's usage log."""

    rows: tuple[UsageRow, ...]
    ahead: float = 0.0
    """Real seconds by which the gateway's clock was ahead of ours."""


UsageOutcome = UsageLog | QueryRefused | QueryFailed
PollOutcome = InProgress | Succeeded | GenerationFailed | NotVisible | QueryRefused | QueryFailed


@dataclass(frozen=True, slots=True)
class Fetched:
    """The whole body has arrived; not yet verified to be a video."""

    size: int
    """Bytes."""
    rest: bytes = field(default=b"", compare=False, repr=False)
    """Its end, which is still to be written; a short file is written and verified in one go."""


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """The body is missing or incomplete; `permanent` if retrying this source is pointless."""

    receipt: Receipt
    permanent: bool = False


FetchOutcome = Fetched | FetchFailed


class Preflight(StrEnum):
    """The result of the free preflight request."""

    READY = "ready"
    WRONG_KEY = "wrong_key"
    WRONG_ADDRESS = "wrong_address"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class PreflightOutcome:
    """The answer to `GET /v1/models`; `models` is empty if the gateway doesn't list them."""

    verdict: Preflight
    models: frozenset[str]
    receipt: Receipt
