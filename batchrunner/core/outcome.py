"""Outcomes of calls to the gateway, as plain values. The gateway client returns these and never raises."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from batchrunner.core.doubts.adoption import UsageRow
from batchrunner.core.model import RemoteId

PROXY = "proxy"
"""Our code for what the environment's proxy did, and not the gateway."""
NOT_VISIBLE = "task_not_exist"
"""The gateway's code for a task that it doesn't know."""
UPSTREAM = "upstream_"
"""How our code for an end begins that the model shows and the gateway does not."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an answer says about itself, kept with the attempt for support."""

    status: int = 0
    """HTTP status; 0 where no answer came."""
    request_id: str = ""
    """The gateway's `X-Oneapi-Request-Id`."""
    code: str = ""
    """The machine-readable code: the upstream's where there is one, else the gateway's."""
    message: str = ""
    """For people; localised by the gateway, so nothing is decided by it."""


class Refusal(StrEnum):
    """Why a submission was surely not accepted, though the request may be fine."""

    UNREACHABLE = "unreachable"
    """No connection: not one byte of the request left."""
    THROTTLED = "throttled"
    """429 in any shape."""
    MODEL_UNAVAILABLE = "model_unavailable"
    """No live channel for this model."""
    GATEWAY_BUSY = "gateway_busy"
    """The gateway's own trouble, before the model was asked."""
    REFUNDED = "refunded"
    """The gateway's exchange with the model failed, and it took the hold back."""


class AccountFault(StrEnum):
    """What about the account keeps submissions from being accepted."""

    KEY = "key"
    """The key is unknown, expired, used up, or lacks a permission."""
    MODEL = "model"
    """The key may not use this model; or nothing at all, which other models show."""
    BALANCE = "balance"
    """Too little is left for the hold of one more task."""
    OPERATOR = "operator"
    """The gateway's own account with the model is refused."""
    UNREACHABLE = "unreachable"
    """Nothing answers at this address."""
    ADDRESS = "address"
    """Something else than the gateway's API answers here."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The gateway has the task and will bill it."""

    remote_id: RemoteId
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """Surely not accepted; may be sent again, later."""

    why: Refusal
    receipt: Receipt
    retry_after: float | None = None
    """Seconds that the gateway asked for."""


@dataclass(frozen=True, slots=True)
class AccountRefused:
    """Surely not accepted, and the next one would not be either."""

    fault: AccountFault
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Rejected:
    """Surely not accepted: this request is wrong, and stays wrong."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether it was accepted and charged. Never sent again on its own."""

    receipt: Receipt


SubmitOutcome = Accepted | NotAdmitted | AccountRefused | Rejected | Unknown


@dataclass(frozen=True, slots=True)
class InProgress:
    """Not finished, or in a state that this program doesn't know."""

    status: str
    upstream_status: str
    """The model's own word; `expired`, `cancelled` or `failed` mean that nothing more will come."""
    raw: str


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The video is there."""

    result_url: str
    """http(s), or empty."""
    last_frame_url: str
    tokens: int | None
    finished_at: float | None
    """Unix seconds, by the gateway's clock."""
    echo: Echo
    raw: str


@dataclass(frozen=True, slots=True)
class Echo:
    """What the model says that it made; None where it says nothing."""

    duration: int | None = None
    resolution: str | None = None
    ratio: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationFailed:
    """The gateway says FAILURE. `code` is the upstream's, empty where the gateway gave up by itself."""

    code: str
    message: str
    finished_at: float | None
    raw: str
    refunded: bool = True
    """False while nothing shows that the gateway gave the money back."""
    charged: int | None = None
    """Quota units that the gateway still charges for it: 0 after a refund; None where it doesn't say."""


@dataclass(frozen=True, slots=True)
class NotVisible:
    """`task_not_exist`: this id is not known, or not with this key."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class QueryRefused:
    """401 or 403 on a query: it says nothing about the task."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class QueryFailed:
    """No usable answer: it says nothing about the task."""

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
    """A body was read to its end into the part file; whether it is a video is not known yet."""

    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """No whole body came. `permanent` says that this source will not get better."""

    receipt: Receipt
    permanent: bool = False


FetchOutcome = Fetched | FetchFailed


class Preflight(StrEnum):
    """What the free first question to the gateway showed."""

    READY = "ready"
    WRONG_KEY = "wrong_key"
    WRONG_ADDRESS = "wrong_address"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class PreflightOutcome:
    """The answer to `GET /v1/models`; `models` is empty where the gateway doesn't list them."""

    verdict: Preflight
    models: frozenset[str]
    receipt: Receipt
