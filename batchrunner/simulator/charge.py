"""One accepted submission, as stored in the charge book. Pure."""

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import Any

from batchrunner.simulator import video_model
from batchrunner.simulator.inputs import fingerprint, media_of
from batchrunner.simulator.life import Ending, Life
from batchrunner.simulator.submission import ArkRequest, Submission

_SIGNATURE = re.compile(r"[?&](X-Amz-Signature|X-Goog-Signature|sig)=")  # of an object storage
_LONG = 4096  # characters; longer text is media, stored as its hash


@dataclass(frozen=True)
class Order:
    """A valid submission's request."""

    key: str  # the key's name, never the key
    token_id: int
    request_id: str  # X-Oneapi-Request-Id of the POST
    asked_at: float  # Unix seconds: when the POST arrived and was passed on
    path: str
    model: str
    prompt: str
    seed: int | None  # as sent; None if omitted
    resolution: str
    ratio: str
    width: int
    height: int
    duration: int | None  # seconds; None if the request gives frames
    frames: int
    tokens: int
    hold: int  # quota units taken on acceptance
    settled: int  # quota units that a success finally costs
    options: dict[str, Any]  # other fields that the model echoes or applies
    media: list[dict[str, Any]]  # type, role, url; a data URI as its SHA-256 and length
    body_sha256: str  # 16 hex digits over the whole body as sent
    request: dict[str, Any]  # the body, media as hashes


@dataclass(frozen=True)
class Charge(Order):
    """An accepted submission that would be billed; the JSON form has the same names."""

    ordinal: int  # from 1; also the gateway's own row number
    remote_id: str
    at: float  # Unix seconds: when the upstream had answered and the charge was recorded
    made_seed: int  # as the model echoes it
    faults: list[str]  # its faults, such as "submit:cut_after_accept", "ark:fail" or "image_url:403"
    life: Life

    @property
    def unreadable(self) -> tuple[str, str]:
        """Of a task with the ending "unreadable": the type of the input, and the status that its link got."""
        kind, _, status = self.faults[-1].partition(":")
        return kind, status

    def to_json(self) -> dict[str, Any]:
        """The charge as a line of the book."""
        return asdict(self)

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> "Charge":
        """The charge that `to_json` wrote."""
        fields = {name: line[name] for name in cls.__dataclass_fields__}
        life = {**line["life"], "ending": Ending(line["life"]["ending"])}
        return cls(**{**fields, "life": Life(**life)})


@dataclass(frozen=True)
class Caller:
    """The sender and route of a submission."""

    key: str
    token_id: int
    request_id: str
    asked_at: float
    path: str
    body_sha256: str


def order_of(
    caller: Caller, asked: Submission, ark: ArkRequest, shape: video_model.Shape, tokens: int
) -> Order:
    """Build a submission's request; so many `tokens` are billed."""
    return Order(
        **vars(caller),
        **vars(shape),
        model=asked.model,
        prompt=asked.prompt,
        seed=ark.get("seed", None),
        tokens=tokens,
        hold=video_model.hold(asked.model),
        settled=video_model.settled(asked.model, tokens),
        options={name: ark.get(name, default) for name, default in _OPTIONS.items()},
        media=[{**item, "url": _without_media(item["url"])} for item in media_of(ark)],
        request=_without_media(dict(asked.body)),
    )


_OPTIONS = {
    "draft": False,
    "generate_audio": True,
    "return_last_frame": False,
    "service_tier": "default",
    "execution_expires_after": 172_800,
}


def short_hash(data: bytes) -> str:
    """A hash of a body, 16 hex digits."""
    return hashlib.sha256(data).hexdigest()[:16]


def _without_media(value: Any) -> Any:
    """A JSON value without signatures of links, and with data URIs and long text as SHA-256 and length."""
    if isinstance(value, dict):
        return {key: _without_media(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_media(item) for item in value]
    if isinstance(value, str) and (value.startswith("data:") or len(value) > _LONG):
        return {"sha256": fingerprint(value), "length": len(value)}
    if isinstance(value, str) and _SIGNATURE.search(value):
        return f"{value.partition('?')[0]}?…"
    return value
