"""Options shared by several commands, and where the API key and the address come from."""

from __future__ import annotations

import argparse
import os
import re
import stat
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.core.errors import AccountError, UsageError
from batchrunner.core.video_url import EXPECTED, is_place, normal

if TYPE_CHECKING:
    from batchrunner.gateway import ApiKey

DEFAULT_BASE_URL = "https://easyrouter.io"
KEY_VARIABLE = "EASYROUTER_API_KEY"
URL_VARIABLE = "EASYROUTER_BASE_URL"
SCALE_VARIABLE = "BATCHRUNNER_TIME_SCALE"
CREDENTIAL = "easyrouter_api_key"
"""Name of the systemd credential."""
SIMULATED_KEY = "sk-simulated"
"""For the simulated gateway, which takes any."""
LOWEST_SCALE, HIGHEST_SCALE = 0.0001, 100
SIMULATED_SCALE = 0.05
"""A simulated minute takes 3 seconds by default."""

_CLUSTER = re.compile(r"ray(://([\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5})?", re.ASCII)
CLUSTER = "ray, or ray://HOST:PORT"
NO_RAY = "Ray is not installed: run `pip install 'batchrunner[ray]'`"
_QUOTES = frozenset("\"'`“”‘’«»")

_KEY_HINT = (
    f"set {KEY_VARIABLE}, or pass a file with --api-key-file, or several keys with --accounts; --simulate "
    "needs no key and costs nothing"
)


def add_base_url(parser: argparse._ActionsContainer) -> None:
    """Add `--base-url`."""
    parser.add_argument(
        "--base-url", metavar="URL", help=f"gateway address (default: {URL_VARIABLE}, then the manifest)"
    )


def add_address(parser: argparse._ActionsContainer) -> None:
    """Add the options for the gateway's address."""
    add_base_url(parser)
    parser.add_argument(
        "--same-gateway",
        action="store_true",
        help="assert that the gateway that was paid has moved to this address, if it can't show that itself",
    )


def add_gateway(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that talks to the gateway."""
    group = parser.add_argument_group("gateway")
    add_address(group)
    add_key_and_transport(group)
    add_accounts(group)
    group.add_argument(
        "--time-scale",
        metavar="F",
        type=float,
        help=f"real seconds per simulated second; local gateways only (default: {SCALE_VARIABLE})",
    )


def add_accounts(
    group: argparse._ActionsContainer, text: str = "use several accounts, whose keys FILE names"
) -> None:
    """Add `--accounts`."""
    group.add_argument("--accounts", metavar="FILE", type=Path, help=text)


def add_key_and_transport(group: argparse._ActionsContainer) -> None:
    """Add where the key comes from, and whether it may be sent unencrypted."""
    group.add_argument(
        "--api-key-file",
        metavar="FILE",
        type=Path,
        help=f"read the API key from FILE (default: {KEY_VARIABLE})",
    )
    group.add_argument("--insecure", action="store_true", help="allow plain http to a remote host")


def add_videos(parser: argparse.ArgumentParser) -> None:
    """Add `--videos`, the place for finished videos."""
    parser.add_argument(
        "--videos",
        metavar="URL",
        type=_place,
        help="store finished videos in a bucket, s3://bucket/prefix (also gs, az), or a folder, file:///PATH "
        "(default: run.videos of the manifest, or else the run directory)",
    )


def _place(text: str) -> str:
    if not is_place(text):  # it may contain a password, so it is not repeated
        raise argparse.ArgumentTypeError(EXPECTED)
    return normal(text)


def add_collect_on(parser: argparse.ArgumentParser) -> None:
    """Add `--collect-on`, the cluster that downloads videos."""
    parser.add_argument(
        "--collect-on",
        metavar="CLUSTER",
        type=_cluster,
        help="download videos on a Ray cluster: ray://HOST:PORT, or ray for this machine's",
    )


def add_on(parser: argparse.ArgumentParser) -> None:
    """Add `--on`, the cluster that makes shards."""
    parser.add_argument(
        "--on",
        metavar="CLUSTER",
        type=_cluster,
        help="make the files with many videos on a Ray cluster: ray://HOST:PORT, or ray for this machine's",
    )


def is_cluster(text: str) -> bool:
    """Whether this names a cluster."""
    return bool(_CLUSTER.fullmatch(text))


def has_ray() -> bool:
    """Whether a cluster can be used from here."""
    return find_spec("ray") is not None


def _cluster(text: str) -> str:
    if not is_cluster(text):  # it may contain a password, so it is not repeated
        raise argparse.ArgumentTypeError(f"use {CLUSTER}")
    if not has_ray():
        raise argparse.ArgumentTypeError(NO_RAY)
    return text


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the tasks to submit."""
    parser.add_argument(
        "--limit", metavar="N", type=positive, help="submit only the first N tasks of the plan"
    )
    parser.add_argument(
        "--only",
        metavar="ID|LABEL=VALUE",
        action="append",
        default=[],
        help="submit only these tasks (repeatable; applied before --limit)",
    )


def positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid number of tasks: use 1 or more")
    return int(text)


def time_scale(options: argparse.Namespace, default: float = 1.0) -> float:
    """The clock's scale, from the option or the environment.

    Raises:
        UsageError: it is not a number, or out of range.
    """
    text = options.time_scale if options.time_scale is not None else os.environ.get(SCALE_VARIABLE, default)
    try:
        scale = float(text)
    except ValueError as error:
        raise UsageError(f"{SCALE_VARIABLE} is {text!r}, not a number") from error
    if not LOWEST_SCALE <= scale <= HIGHEST_SCALE:
        raise UsageError(
            f"time scale {scale:g} is out of range",
            f"use {LOWEST_SCALE} to {HIGHEST_SCALE}; 0.01 runs 100 times faster",
        )
    return scale


def api_key(options: argparse.Namespace) -> ApiKey:
    """The key, from the file, the environment or a systemd credential; never from an option's value.

    Raises:
        AccountError: there is none, or it can't be a key. The message never contains it.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(credentials) / CREDENTIAL if credentials else None
    given: ApiKey | None = getattr(options, "api_key", None)
    if given:  # only the Python API has it
        return given
    if options.api_key_file:
        key, origin = key_in(options.api_key_file, private=True), str(options.api_key_file)
    elif os.environ.get(KEY_VARIABLE):
        key, origin = os.environ[KEY_VARIABLE].strip(), KEY_VARIABLE
    elif credential and credential.exists():
        key, origin = key_in(credential, private=False), f"the credential {CREDENTIAL}"
    else:
        raise AccountError("no API key", _KEY_HINT)
    return checked_key(key, origin)


def checked_key(key: str, origin: str) -> ApiKey:
    """The key that was found in `origin`.

    Raises:
        AccountError: it can't be one. The message doesn't contain it.
    """
    from batchrunner.gateway import ApiKey  # noqa: PLC0415

    refusal, found = invalid_key(key, origin), ApiKey(key, origin)
    del key  # some tracebacks show local variables
    if refusal:
        raise refusal
    return found


def invalid_key(key: str, origin: str) -> AccountError | None:
    """Why this can't be a key, in a message that doesn't contain it; None if it can be one."""
    if fault := _key_fault(key):
        return AccountError(f"{origin} does not hold a valid API key: {fault}", "write only the key: sk-…")
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        return AccountError(
            f"{origin} does not hold a valid API key: it is empty or contains spaces", _KEY_HINT
        )
    return None


def _key_fault(key: str) -> str:
    """What was copied along with the key; empty if nothing was."""
    if key[:1] in _QUOTES or key[-1:] in _QUOTES:
        return "it is in quotes"
    word, _, rest = key.partition(" ")
    if rest and word.rstrip(":").lower() in ("bearer", "authorization"):
        return "it starts with part of the header, such as `Bearer`"
    name, _, value = key.removeprefix("export ").partition("=")
    if value and name.isidentifier() and name.isupper():
        return "it starts with a variable name and `=`"
    return ""


def key_in(path: Path, private: bool, hint: str = _KEY_HINT) -> str:
    """The key in a file, which only its owner may be able to read if it is `private`.

    Raises:
        AccountError: it can't be read, or others can read it.
    """
    try:
        if private:
            check_private(path)
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AccountError(f"can't read the key in {path}: {error}", hint) from error


def check_private(path: Path) -> None:
    """Check that nobody but its owner can read a file; one that doesn't exist is not checked.

    Raises:
        AccountError: others can.
    """
    if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise AccountError(f"{path} is readable by other users", f"chmod 600 {path}")
