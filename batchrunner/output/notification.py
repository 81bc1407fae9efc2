"""`run --notify URL`: sends the summary to a web address, or by apprise to one of its services."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from batchrunner.core.errors import UsageError
from batchrunner.core.text import printable

LIMIT = 15.0
"""Seconds until sending is given up."""
_WEB = ("http", "https")


def check_notify(url: str) -> None:
    """Check an address before anything is paid for. Errors show only its scheme: the rest may be secret.

    Raises:
        UsageError: it is not usable, or needs apprise, which is not installed.
    """
    scheme, host = _parts(url)
    if scheme in _WEB and host:
        return
    if not scheme or scheme in _WEB:
        raise UsageError("--notify: this is not a URL", "use https://host/path, or a URL of apprise")
    if not find_spec("apprise"):
        raise UsageError(
            f"--notify {scheme}: needs apprise, which is not installed",
            "run `pip install 'batchrunner[notify]'`, or use an https URL",
        )
    if not _apprise_of(url):
        raise UsageError(
            f"--notify: apprise does not accept this {scheme} URL",
            "its services and their URLs: https://github.com/caronc/apprise/wiki",
        )


def shown(url: str) -> str:
    """Scheme and host of an address, for messages; of other services, only the scheme."""
    scheme, host = _parts(url)
    return printable(f"{scheme}://{host}" if scheme in _WEB else scheme)


async def post(url: str, summary: bytes) -> str:
    """POST the summary as JSON, once; return what went wrong, or an empty text.

    No redirect is followed: the summary and the secrets in the address are for this host only.
    """
    import aiohttp  # noqa: PLC0415  only with --notify
    from yarl import URL  # noqa: PLC0415

    from batchrunner.gateway.proxies import through_proxy  # noqa: PLC0415

    try:
        target = URL(url)
        given = through_proxy(target, {"Content-Type": "application/json"})
        limit = aiohttp.ClientTimeout(total=LIMIT)
        async with (
            aiohttp.ClientSession(timeout=limit, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(target, data=summary, allow_redirects=False, **given) as answer,
        ):
            if 300 <= answer.status < 400:
                return f"it answered with {answer.status}, and redirects are not followed"
            return "" if answer.status < 300 else f"it answered with {answer.status}"
    except TimeoutError:
        return f"no answer within {LIMIT:.0f} s"
    except (aiohttp.ClientError, OSError, ValueError, UsageError) as error:
        return f"it can't be reached ({type(error).__name__})"


def send_by_apprise(url: str, title: str, text: str) -> str:
    """Send a message by apprise; return what went wrong, or an empty text."""
    sent: list[bool] = []

    def send() -> None:
        sent.append(bool(_apprise_of(url).notify(body=text, title=title, body_format="text")))

    # A thread that hangs must not hold up the end of the command.
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    thread.join(LIMIT)
    if thread.is_alive():
        return f"not sent within {LIMIT:.0f} s"
    return "" if sent == [True] else "it was not sent"


def message(values: Mapping[str, Any]) -> tuple[str, str]:
    """Title and text of a message about a summary, or about the error that ended the command."""
    title = f"batchrunner: exit code {values['exit_code']}"
    if "runs" in values:
        each = [(run["manifest"], *message(run)) for run in values["runs"]]
        return title, "\n".join(f"{printable(name)}: {text}" for name, _, text in each)
    if "counts" not in values:
        return title, "\n".join(printable(str(values.get(name, ""))) for name in ("error", "hint"))
    counts: Mapping[str, int] = values["counts"]
    done, total = counts.get("done", 0), sum(counts.values())
    lines = [f"{done:,} of {total:,} tasks done"]
    lines += [f"{number:,} {state.replace('_', ' ')}" for state, number in counts.items() if number][:9]
    if values.get("stopped"):
        lines.append(f"stopped: {values['stopped']['why']}")
    lines.append(str(values["results"]))
    return title, "\n".join(printable(line) for line in lines)


def is_web(url: str) -> bool:
    """Whether the summary is POSTed to it as JSON."""
    return _parts(url)[0] in _WEB


def _apprise_of(url: str) -> Any:
    """An apprise object for one address; false if that is unusable."""
    import logging  # noqa: PLC0415

    import apprise  # noqa: PLC0415  an extra

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its messages would show the address
    made = apprise.Apprise()
    return made if made.add(url) else None


def _parts(url: str) -> tuple[str, str]:
    """Scheme and host; empty if there is none."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return parts.scheme.lower(), f"{parts.hostname}{port}" if parts.hostname else ""
    except ValueError:
        return "", ""
