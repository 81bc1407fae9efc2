"""Refused requests: an exception that carries the answer up to the server."""

import json
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Denial:
    """The answer to a refused request; for the shapes, see api/gateway.md, section 2.3."""

    status: int
    shape: str  # openai, task or proxy
    code: str
    message: str  # the openai shape adds the request id
    headers: tuple[tuple[str, str], ...] = ()


class Denied(Exception):
    """Raised when a request is refused; carries the answer."""

    def __init__(self, refusal: Denial) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def invalid_request(message: str) -> Denied:
    """400 in the task shape: a field is missing or has the wrong type."""
    return Denied(Denial(400, "task", "invalid_request", message))


def distribute(status: int, message: str, code: str = "") -> Denied:
    """A refusal in the OpenAI shape, made before the request reaches the task code."""
    return Denied(Denial(status, "openai", code, message))


def upstream(status: int, code: str, message: str, kind: str) -> Denied:
    """The model's own refusal, its body passed on as the message; costs nothing."""
    # Real request IDs are numbered differently; only the format matters.
    text = f"{message} Request id: 02{time.time_ns() // 1_000_000}"
    body = json.dumps({"error": {"code": code, "message": text, "param": "", "type": kind}})
    return Denied(Denial(status, "task", "fail_to_fetch_task", body))


def token_quota(remaining: int, needed: int) -> Denied:
    """403: the key has less quota left than the hold."""
    text = f"token quota is not enough, token remain quota: {usd(remaining)}, need quota: {usd(needed)}"
    return Denied(Denial(403, "task", "pre_consume_token_quota_failed", text))


def user_quota(remaining: int, needed: int) -> Denied:
    """403: the user has less quota left than the hold."""
    text = f"预扣费额度失败, 用户剩余额度: {usd(remaining)}, 需要预扣费额度: {usd(needed)}"
    return Denied(Denial(403, "task", "insufficient_user_quota", text))


def insufficient() -> Denied:
    """402, as documented: the balance is less than the hold."""
    return Denied(Denial(402, "openai", "insufficient_user_quota", "insufficient user quota"))


def usd(quota: int) -> str:
    """Quota units as the gateway prints them in messages."""
    return f"＄{quota / 500_000:.6f}"
