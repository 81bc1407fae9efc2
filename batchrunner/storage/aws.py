"""Credentials, region and requests of S3 that the library for object storage doesn't supply.

It doesn't read the files in `~/.aws`, and can't list or abort uploads in parts.
"""

from __future__ import annotations

import configparser
import hashlib
import hmac
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen
from xml.etree import ElementTree

_EMPTY = hashlib.sha256(b"").hexdigest()
_PATIENCE = 10.0
"""Seconds to wait for an answer."""


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """A key for S3; its representation doesn't show it."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


def keys_in_environment() -> AwsKeys | None:
    """The key in the environment variables; None if there is none."""
    access, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    return AwsKeys(access, secret, os.environ.get("AWS_SESSION_TOKEN", "")) if access and secret else None


def keys_in_file() -> AwsKeys | None:
    """The key of the profile in `~/.aws/credentials`, or of the default one; None if there is none."""
    found = _section("AWS_SHARED_CREDENTIALS_FILE", "credentials", _profile())
    access, secret = found.get("aws_access_key_id"), found.get("aws_secret_access_key")
    return AwsKeys(access, secret, found.get("aws_session_token", "")) if access and secret else None


def region() -> str:
    """The region in the environment, or else of the profile in `~/.aws/config`; empty if neither has one."""
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    profile = _profile()
    section = profile if profile == "default" else f"profile {profile}"
    return named or _section("AWS_CONFIG_FILE", "config", section).get("region", "")


def abort_uploads(url: str, folder: str) -> None:
    """Abort the uploads in parts, below a place's folder, that killed runs have left; waits for answers.

    Errors are ignored: a lifecycle rule of the bucket does the same later.
    """
    keys, place = keys_in_environment() or keys_in_file(), urlsplit(url)
    if keys is None:
        return
    below = "/".join(filter(None, (place.path.strip("/"), folder)))
    with suppress(OSError, HTTPException, ValueError, ElementTree.ParseError):
        answer = _asked("GET", place.netloc, {"prefix": f"{below}/", "uploads": ""}, keys)
        found = ElementTree.fromstring(answer)  # noqa: S314  expat expands entities only within limits
        for upload in found.iterfind("{*}Upload"):
            name, number = upload.findtext("{*}Key", ""), upload.findtext("{*}UploadId", "")
            if name.startswith(f"{below}/"):
                _asked("DELETE", f"{place.netloc}/{name}", {"uploadId": number}, keys)


def _profile() -> str:
    return os.environ.get("AWS_PROFILE") or "default"


def _section(variable: str, name: str, section: str) -> Mapping[str, str]:
    """A section of a file in `~/.aws`; empty if it can't be read."""
    path = Path(os.environ.get(variable) or Path.home() / ".aws" / name)
    parser = configparser.ConfigParser(interpolation=None)
    with suppress(OSError, configparser.Error, UnicodeDecodeError):
        parser.read_string(path.read_text(encoding="utf-8"))
    return dict(parser[section]) if parser.has_section(section) else {}


def _asked(method: str, path: str, query: Mapping[str, str], keys: AwsKeys) -> bytes:
    """Send a signed request for a bucket, or for an object in it; return the answer's body."""
    where = region() or "us-east-1"
    given = (os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"))
    endpoint = next(filter(None, given), f"https://s3.{where}.amazonaws.com").rstrip("/")
    asked = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
    resource = f"{urlsplit(endpoint).path}/{quote(path, safe='/~')}"
    headers = _signed(method, urlsplit(endpoint).netloc, resource, asked, where, keys, datetime.now(UTC))
    address = f"{endpoint}/{quote(path, safe='/~')}?{asked}"
    with urlopen(Request(address, headers=headers, method=method), timeout=_PATIENCE) as answer:  # noqa: S310
        return bytes(answer.read())


def _signed(
    method: str, host: str, resource: str, query: str, where: str, keys: AwsKeys, now: datetime
) -> dict[str, str]:
    """The headers of a request without a body, with its signature (version 4)."""
    at, scope = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}/{where}/s3/aws4_request"
    headers = {"host": host, "x-amz-content-sha256": _EMPTY, "x-amz-date": at}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = "\n".join((method, resource, query, lines, names, _EMPTY))
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{keys.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return headers | {"Authorization": f"AWS4-HMAC-SHA256 {credential}"}
