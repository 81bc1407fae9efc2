"""Options that several commands share, and where key and address come from."""

from __future__ import annotations

import argparse
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.core.errors import AccountError, UsageError

if TYPE_CHECKING:
    from batchrunner.gateway import ApiKey

DEFAULT_BASE_URL = "https://easyrouter.io"
KEY_VARIABLE = "EASYROUTER_API_KEY"
URL_VARIABLE = "EASYROUTER_BASE_URL"
SCALE_VARIABLE = "BATCHRUNNER_TIME_SCALE"
CREDENTIAL = "easyrouter_api_key"
"""Name of the systemd credential."""
SIMULATED_SCALE = 0.05
"""A simulated minute takes 3 seconds, unless told otherwise."""

_QUOTES = frozenset("\"'`“”‘’«»")

_KEY_HINT = (
    f"set {KEY_VARIABLE}, or name a file with --api-key-file; with --simulate no key is needed "
    "and nothing is paid"
)


def add_address(parser: argparse._ActionsContainer) -> None:
    """The gateway's address, and a person's word for it."""
    parser.add_argument(
        "--base-url", metavar="URL", help=f"its address (also {URL_VARIABLE}, or the manifest)"
    )
    parser.add_argument(
        "--same-gateway",
        action="store_true",
        help="the gateway that was paid is now at this address, although it can't show it",
    )


def add_gateway(parser: argparse.ArgumentParser) -> None:
    """Options of every command that talks to the gateway."""
    group = parser.add_argument_group("gateway")
    add_address(group)
    group.add_argument(
        "--api-key-file", metavar="FILE", type=Path, help=f"file that holds the key (else {KEY_VARIABLE})"
    )
    group.add_argument("--insecure", action="store_true", help="allow plain http to another machine")
    group.add_argument(
        "--time-scale",
        metavar="F",
        type=float,
        help=f"length of a simulated second, for a gateway on this machine only (also {SCALE_VARIABLE})",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Results for programs."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")


def time_scale(options: argparse.Namespace, default: float = 1.0) -> float:
    """The clock's scale, from the option or the environment.

    Raises:
        UsageError: it is no sensible number.
    """
    text = options.time_scale if options.time_scale is not None else os.environ.get(SCALE_VARIABLE, default)
    try:
        scale = float(text)
    except ValueError as error:
        raise UsageError(f"{SCALE_VARIABLE} is {text!r}, which is not a number") from error
    if not 0.0001 <= scale <= 100:
        raise UsageError(f"a time scale of {scale:g} makes no sense", "0.01 makes a second a hundredth")
    return scale


def api_key(options: argparse.Namespace) -> ApiKey:
    """The key, from the file, the environment or a systemd credential; never from an option's value.

    Raises:
        AccountError: there is none, or it can't be one. The message never shows it.
    """
    from batchrunner.gateway import ApiKey  # noqa: PLC0415

    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(credentials) / CREDENTIAL if credentials else None
    if options.api_key_file:
        key, origin = _key_in(options.api_key_file, private=True), str(options.api_key_file)
    elif os.environ.get(KEY_VARIABLE):
        key, origin = os.environ[KEY_VARIABLE].strip(), KEY_VARIABLE
    elif credential and credential.exists():
        key, origin = _key_in(credential, private=False), f"the credential {CREDENTIAL}"
    else:
        raise AccountError("there is no API key", _KEY_HINT)
    if fault := _key_fault(key):
        raise AccountError(f"what {origin} holds can't be an API key: {fault}", "write the key alone: sk-…")
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise AccountError(
            f"what {origin} holds can't be an API key: it is empty or has blanks in it", _KEY_HINT
        )
    return ApiKey(key, origin)


def _key_fault(key: str) -> str:
    """What was copied along with the key; empty where nothing was."""
    if key[:1] in _QUOTES or key[-1:] in _QUOTES:
        return "it is in quotes"
    word, _, rest = key.partition(" ")
    if rest and word.rstrip(":").lower() in ("bearer", "authorization"):
        return "it begins with a word of the header, such as `Bearer`"
    name, _, value = key.removeprefix("export ").partition("=")
    if value and name.isidentifier() and name.isupper():
        return "it begins with the name of a variable and `=`"
    return ""


def _key_in(path: Path, private: bool) -> str:
    try:
        mode = path.stat().st_mode
        if private and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise AccountError(f"{path} can be read by others", f"chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AccountError(f"can't read the key in {path}: {error}", _KEY_HINT) from error
