"""What the scripted gateway may do with a submission, a poll, a download or a look-up."""

from __future__ import annotations

import json
from dataclasses import dataclass

from hypothesis import strategies as st

from batchrunner.gateway.wire import Answer

HTML = b"<html><body><h1>Bad Gateway</h1></body></html>"


def error(code: str, message: str = "no") -> bytes:
    """An error in the shape of the gateway's task API."""
    return json.dumps({"code": code, "message": message, "data": None}).encode()


def openai_error(code: str) -> bytes:
    """An error in the other shape."""
    return json.dumps({"error": {"code": code, "message": "no", "type": "new_api_error"}}).encode()


@dataclass(frozen=True)
class Fate:
    """What becomes of one POST."""

    name: str
    charged: bool = False
    answer: Answer | None = None
    """None: no answer at all."""
    shows_id: bool = False
    """The answer is the acceptance, with the id."""
    connected: bool = True
    seconds: float = 0.5
    """Until the answer, or until the client gives up."""
    charge_after: float = 0.2
    """Seconds after the POST left; also when its client is long gone."""


def refused(name: str, status: int, body: bytes, retry_after: float | None = None) -> Fate:
    """Not accepted, and said so."""
    return Fate(name, answer=Answer(status, body, f"r-{name}", retry_after))


ACCEPTED = Fate("accepted", charged=True, shows_id=True)
SLOW = Fate("accepted_slowly", charged=True, shows_id=True, seconds=100, charge_after=90)

UNCLEAR = (
    Fate("cut_after_accept", charged=True),
    Fate("timeout_after_accept", charged=True, seconds=120),
    Fate("timeout_charged_late", charged=True, seconds=120, charge_after=140),
    Fate("timeout_charged_very_late", charged=True, seconds=120, charge_after=900),
    Fate("html_502_after_accept", charged=True, answer=Answer(502, HTML)),
    Fate("empty_504_after_accept", charged=True, answer=Answer(504, b"")),
    Fate("no_id_after_accept", charged=True, answer=Answer(200, b'{"code": "success"}')),
    Fate("broken_json_after_accept", charged=True, answer=Answer(200, b'{"task_id": "task_')),
    Fate("redirect_after_accept", charged=True, answer=Answer(307, b"")),
    Fate("conflict_after_accept", charged=True, answer=Answer(409, error("conflict"))),
    Fate("json_500_after_accept", charged=True, answer=Answer(500, error("insert_task_failed"))),
    Fate("cut_before_accept"),
    Fate("html_502", answer=Answer(502, HTML)),
    Fate("timeout", seconds=120),
)
"""Nobody can tell whether it was accepted."""

PASSING = (
    Fate("unreachable", connected=False),
    refused("429", 429, b""),
    refused("429_retry_after", 429, error("busy"), 40.0),
    refused("503_model", 503, openai_error("model_not_found")),
    refused("500_busy", 500, error("get_channel_failed")),
    refused("500_refunded", 500, error("do_request_failed")),
    refused("403_balance", 403, error("insufficient_user_quota")),
)
"""Surely not accepted; may be sent again."""

FINAL = (
    refused("400", 400, error("InvalidParameter")),
    refused("build_request_failed", 500, error("build_request_failed")),
    refused("401", 401, openai_error("invalid_api_key")),
    refused("404_html", 404, HTML),
)
"""Surely not accepted; this task, or this run, is over."""

POLL_FAULTS = ("500", "html", "cut", "401", "403", "not_exist", "null", "odd", "other")
FETCH_FAULTS = ("cut", "html", "half", "garbage", "404")
LOG_FAULTS = ("empty", "500", "cut", "refused", "late")

FATES = {fate.name: fate for fate in (ACCEPTED, SLOW, *UNCLEAR, *PASSING, *FINAL)}
fates = st.one_of(
    *(st.sampled_from([fate.name for fate in group]) for group in (UNCLEAR, UNCLEAR, PASSING, FINAL)),
    st.sampled_from((ACCEPTED.name, SLOW.name)),
)


@dataclass(frozen=True)
class Life:
    """What becomes of an accepted task."""

    ending: str
    """success, refunded (with a code), gave_up (FAILURE without one), expired (upstream alone)."""
    seconds: float = 90.0
    code: str = ""

    @property
    def is_refunded(self) -> bool:
        """Whether the money comes back when it has ended."""
        return self.ending == "refunded"


LIVES = {
    "quick": Life("success", 30),
    "slow": Life("success", 400),
    "over_its_deadline": Life("success", 5000),
    "failed": Life("refunded", 60, "InternalServiceError"),
    "moderated": Life("refunded", 60, "OutputVideoSensitiveContentDetected.PolicyViolation"),
    "prompt_refused": Life("refunded", 60, "InputTextSensitiveContentDetected"),
    "gave_up": Life("gave_up", 200),
    "expired": Life("expired", 100),
}
lives = st.sampled_from(sorted(LIVES))
