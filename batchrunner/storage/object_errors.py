"""Turns what an object storage answers into words, without anything secret.

A storage's own message may repeat the request with its key, and the endpoint may contain credentials, so only
the status and the code of an answer are shown.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import NamedTuple

from batchrunner.core.errors import StorageError

_STATUS = re.compile(r"status code: ([0-9]{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_NO_CREDENTIALS = re.compile(r"169\.254\.169\.254|metadata\.google\.internal|fd00:ec2")
"""Where the providers' machines find credentials: it is asked only if there are no others."""
_NO_HTTP = "builder error"
"""What the library says of an address that it may not ask."""
_FOR_A_PERSON = frozenset({301, 400, 401, 403, 404, 405})
_DAMAGED = frozenset({"BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "RequestTimeout"})
"""What reached the server was not what was sent, or not all of it."""
NO_BUCKET = "<Code>NoSuchBucket</Code>"
_HINTS = {
    "RequestTimeTooSkewed": "set this machine's clock",
    "NoSuchBucket": "create the bucket, or check its name, region and endpoint",
    "PermanentRedirect": "set AWS_REGION to the bucket's region",
}
_HINT = "check the storage, its address and the credentials in the environment"


class Purpose(NamedTuple):
    """What a storage is used for, in the words of an error."""

    cant: str
    """Completed by a URL."""
    then: str
    """What to do once the trouble is over."""
    patience: timedelta
    """The timeout of one request."""


STORING = Purpose(
    "can't store videos at", "then run the same command again; no paid video is lost", timedelta(minutes=10)
)
"""A slow line needs minutes for 64 MB."""
UPLOADING = Purpose(
    "can't upload inputs to",
    "then run the same command again; nothing was paid",
    timedelta(minutes=10),
)
READING = Purpose("can't read", "then run the same command again", timedelta(minutes=2))


class Unavailable(Exception):
    """The storage did not answer, or asks to be tried again later; the message says what it did."""


def translated(error: Exception, url: str, purpose: Purpose = STORING) -> StorageError | Unavailable:
    """What an error of the library means: something for a person to settle, or to be tried again."""
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    if _NO_CREDENTIALS.search(text):
        return cant_use(url, "no credentials were found", "set the provider's environment variables", purpose)
    if _NO_HTTP in text:
        hint = "use an https endpoint, or allow http: AWS_ALLOW_HTTP=true"
        return cant_use(url, "its endpoint uses http", hint, purpose)
    if status is None:
        if type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
            return cant_use(url, "the credentials were refused", _HINT, purpose)
        return Unavailable("no answer")
    told = f"HTTP {status[1]}{f' {code[1]}' if code else ''}"
    if int(status[1]) in _FOR_A_PERSON and not (code and code[1] in _DAMAGED):
        return cant_use(url, told, _HINTS.get(code[1] if code else "", _HINT), purpose)
    return Unavailable(told)


def cant_use(url: str, why: str, hint: str = _HINT, purpose: Purpose = STORING) -> StorageError:
    """The error for a storage that can't be used until a person does something."""
    return StorageError(f"{purpose.cant} {url}: {why}", f"{hint}, {purpose.then}")
