"""All faults by kind of request, with their parameters. Pure.

`schemas/scenario.schema.json` describes each fault; a test keeps the two in step.
"""

from collections.abc import Mapping

SUBMIT, POLL, DOWNLOAD, MODEL_LIST = "submit", "poll", "download", "models"
USAGE, BILLING = "usage", "billing"
GENERATE, REFRESH = "generate", "refresh"  # decided when a task is accepted

_NONE: tuple[str, ...] = ()
_EDGE = ("status", "body")  # for an answer from a proxy in front of the gateway

FAULTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    SUBMIT: {
        "cut_after_accept": _NONE,
        "cut_before_accept": _NONE,
        "cut_hold_kept": _NONE,
        "html_502_after_accept": _EDGE,
        "html_502": _EDGE,
        "hang_after_accept": _NONE,
        "slow_accept": ("seconds",),
        "broken_json_after_accept": _NONE,
        "no_id_after_accept": _NONE,
        "task_id_only": _NONE,
        "429": _NONE,
        "429_retry_after": ("seconds", "date"),
        "429_empty": _NONE,
        "400": _NONE,
        "401": _NONE,
        "402": ("shape",),
        "403_quota": ("shape",),
        "403_token_quota": ("shape",),
        "403_model": _NONE,
        "403_html": _NONE,
        "503_model": _NONE,
        "500_refunded": ("code",),
        "500_html": _NONE,
        "redirect": _NONE,
    },
    POLL: {
        "500": _NONE,
        "html_502": _EDGE,
        "401": _NONE,
        "403_model": _NONE,
        "task_not_exist": _NONE,
        "cut": _NONE,
        "429": ("seconds",),
        "hang": ("seconds",),
        "null_data": _NONE,
        "unknown_state": _NONE,
    },
    GENERATE: {
        "fail": _NONE,
        "moderated": _NONE,
        "expired": ("word",),
        "slow": ("factor",),
        "timeout_24h": _NONE,
    },
    REFRESH: {
        "error": _NONE,
        "channel_lost": _NONE,
    },
    DOWNLOAD: {
        "cut": _NONE,
        "cut_chunked": _NONE,
        "html_200": _NONE,
        "json_200": _NONE,
        "garbage": _NONE,
        "502": _NONE,
        "404": _NONE,
        "not_ready": _NONE,
        "other_video": _NONE,
        "slow": ("seconds",),
        "hang": ("seconds",),
    },
    MODEL_LIST: {
        "401": _NONE,
        "404": _NONE,
        "html_200": _NONE,
        "html_502": _EDGE,
        "cut": _NONE,
        "missing": _NONE,
    },
    USAGE: {
        "429": ("seconds",),
        "500": _NONE,
        "html_502": _EDGE,
        "cut": _NONE,
        "refused": _NONE,
    },
    BILLING: {
        "429": ("seconds",),
        "500": _NONE,
        "html_502": _EDGE,
        "cut": _NONE,
        "refused": _NONE,
    },
}

SHAPES = ("openai", "task")
BODIES = ("html", "empty")
WORDS = ("expired", "cancelled")
SOURCES = ("content", "url", "both")
REFUNDED = (  # codes of the gateway's own failures, none of which charges
    "do_request_failed",
    "fail_to_fetch_task",
    "get_channel_failed",
    "setup_locked_channel_failed",
    "update_data_error",
    "query_data_error",
    "gen_relay_info_failed",
    "invalid_response",
    "read_response_body_failed",
    "unmarshal_response_body_failed",
)

WHEN = ("nth", "every", "chance", "times", "first", "between")  # conditions of every rule


def conditions(on: str) -> tuple[str, ...]:
    """The conditions allowed for one kind of request, besides the fault's own parameters."""
    of_tasks = () if on in (MODEL_LIST, USAGE, BILLING) else ("prompt",)
    each = ("per_task",) if on in (POLL, DOWNLOAD) else ()
    return (*of_tasks, *each, *WHEN, *(("source",) if on == DOWNLOAD else ()))
