"""Examines this machine, a run directory and a gateway for `doctor`; changes nothing, submits nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from batchrunner.core.diagnosis import Finding, Health, of_balance, of_clock, of_space, of_sqlite, of_sync
from batchrunner.core.errors import BatchrunnerError, ExitCode
from batchrunner.core.file_names import VIDEOS
from batchrunner.core.model import RunSettings
from batchrunner.core.outcome import Preflight, PreflightOutcome
from batchrunner.core.text import count
from batchrunner.gateway import ApiKey, Gateway, GatewaySettings
from batchrunner.gateway.probe import probe
from batchrunner.gateway.proxies import SCHEMES, shown_proxy
from batchrunner.ledger import (
    LEDGER_NAME,
    NETWORK_FILE_SYSTEMS,
    Binding,
    LedgerReader,
    file_system,
    is_locked,
    lock_holders,
)
from batchrunner.storage.files import open_part, part_of, remove_part_files
from batchrunner.version import __version__

PACKAGES = ("aiohttp", "aiosqlite", "av", "jsonschema", "pillow", "PyYAML", "rich")
EXTRAS = ("openpyxl", "pyarrow", "apprise")
_PROBE = "doctor"
"""What the file is called that is written to try the disk."""
_PROBE_BYTES = 1 << 16


def of_machine() -> Iterator[Finding]:
    """Versions of everything, SQLite's known faults, and the encoding of file names."""
    yield Finding("batchrunner", __version__)
    yield Finding("Python", f"{platform.python_version()} on {platform.platform()}")
    yield of_sqlite(sqlite3.sqlite_version_info)
    found = {name: _version(name) for name in (*PACKAGES, *EXTRAS)}
    missing = [name for name in PACKAGES if not found[name]]
    shown = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    if missing:
        hint = "install batchrunner again with pip"
        yield Finding("packages", f"missing: {', '.join(missing)}; found: {shown}", Health.PROBLEM, hint)
    else:
        yield Finding("packages", shown, facts=found)
    encoding = sys.getfilesystemencoding()
    if encoding == "utf-8":
        yield Finding("file names", encoding)
    else:
        yield Finding("file names", f"{encoding} is not UTF-8", Health.PROBLEM, "set PYTHONUTF8=1")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


async def of_directory(directory: Path) -> tuple[list[Finding], Binding | None]:
    """A run directory, existing or not: its ledger, its lock, its file system; and what it belongs to."""
    findings, binding, reserve = [], None, RunSettings().disk_reserve
    directory = directory.absolute()
    if (directory / LEDGER_NAME).exists():
        try:
            async with LedgerReader.open_existing(directory) as ledger:
                binding = await ledger.binding()
                tasks = sum((await ledger.counts()).values())
            reserve = binding.settings.disk_reserve
            text = f"{count(tasks, 'task')}, bound to {binding.gateway}"
            findings.append(Finding("ledger", text, facts={"tasks": tasks, "gateway": binding.gateway}))
        except BatchrunnerError as error:
            findings.append(Finding("ledger", str(error), Health.PROBLEM, error.hint, error.exit_code))
        findings.append(_of_lock(directory))
    else:
        findings.append(Finding("ledger", f"none in {directory} yet", Health.NOTE))
    place = directory
    while not place.is_dir() and place != place.parent:
        place = place.parent
    findings += _of_place(place, reserve)
    videos = directory / VIDEOS
    if videos.is_symlink() or (videos.exists() and videos.stat().st_dev != place.stat().st_dev):
        findings += _of_place(videos, reserve)
    return findings, binding


def _of_lock(directory: Path) -> Finding:
    if not is_locked(directory):
        return Finding("lock", "free: no run is in progress", facts={"locked": False, "processes": []})
    holders = lock_holders(directory)
    by = f" by process {', '.join(map(str, holders))}" if holders else ""
    return Finding("lock", f"held{by}: a run is in progress", facts={"locked": True, "processes": holders})


def _of_place(place: Path, reserve: int) -> Iterator[Finding]:
    """The file system and the disk of an existing folder."""
    kind = file_system(place)
    name = kind or "unknown"
    if kind in NETWORK_FILE_SYSTEMS:
        text = f"{place} is on a network file system ({kind}), where locks are unreliable"
        yield Finding("file system", text, Health.PROBLEM, "use a local disk for run directories")
    else:
        yield Finding("file system", f"{place} is on {name}", facts={"place": str(place), "type": name})
    try:
        yield of_space(shutil.disk_usage(place).free, reserve)
        yield of_sync(_timed_write(place))
    except OSError as error:
        text = f"can't write to {place}: {error.strerror}"
        yield Finding("disk", text, Health.PROBLEM, "check its owner and permissions", ExitCode.STORAGE)


def _timed_write(place: Path) -> float:
    """Write, sync and rename a file as a download does; return the seconds.

    Raises:
        OSError: one of them failed; no file is left.
    """
    remove_part_files(place, _PROBE)
    part, final = part_of(place / _PROBE), part_of(place / _PROBE)
    began = time.monotonic()
    try:
        with os.fdopen(open_part(part), "wb") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
            part.replace(final)
        folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return time.monotonic() - began
    finally:
        part.unlink(missing_ok=True)
        final.unlink(missing_ok=True)


def of_network() -> Iterator[Finding]:
    """Proxies, without their passwords, and certificates that the environment names."""
    try:
        proxies = {scheme: shown for scheme in SCHEMES if (shown := shown_proxy(scheme))}
    except BatchrunnerError as error:
        yield Finding("proxy", str(error), Health.PROBLEM, error.hint)
    else:
        shown = ", ".join(f"{address} for {scheme}" for scheme, address in proxies.items())
        if proxies and (exceptions := os.environ.get("no_proxy") or os.environ.get("NO_PROXY")):
            shown += f", except {exceptions}"
        yield Finding("proxy", shown or "none", facts=proxies)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if path := os.environ.get(name):
            exists = Path(path).exists()
            health = Health.OK if exists else Health.PROBLEM
            text = f"{name}={path}{'' if exists else ', which does not exist'}"
            yield Finding("certificates", text, health, "correct or unset it")


async def of_gateway(settings: GatewaySettings, named_by: str, keys: Mapping[str, ApiKey]) -> list[Finding]:
    """Whether the gateway answers, its clock, and each account; all of it free.

    `keys` are by the name of the account, which is empty for a single one.
    """
    answer = await probe(settings.base_url)
    facts = {"address": settings.base_url, "from": named_by, "status": answer.status}
    named = f"{settings.base_url} ({named_by})"
    if answer.error:
        text, hint = (
            f"{named} does not answer: {answer.error}",
            "check the address, the network and the proxy",
        )
        return [Finding("gateway", text, Health.PROBLEM, hint, ExitCode.ACCOUNT, facts)]
    latency = f"{answer.seconds * 1000:,.0f} ms"
    facts |= {"seconds": round(answer.seconds, 4)}
    findings = [Finding("gateway", f"{named} answers in {latency}", facts=facts)]
    if answer.ahead is not None:
        findings.append(of_clock(answer.ahead))
    for name, key in keys.items():
        findings += await _of_account(settings, name, key)
    return findings


async def _of_account(settings: GatewaySettings, name: str, key: ApiKey) -> list[Finding]:
    """Whether the gateway takes a key, and the balance of its account, if it is shown."""
    async with Gateway.open(settings, key) as gateway:
        seen = await gateway.preflight()
        balance = await gateway.balance() if seen.verdict is Preflight.READY else None
    of, facts = (f"{name}: ", {"account": name, "key_from": key.origin}) if name else ("", {})
    findings = [_of_key(seen)]
    if balance is not None:
        findings.append(of_balance(balance))
    return [replace(one, text=of + one.text, facts={**facts, **one.facts}) for one in findings]


def _of_key(seen: PreflightOutcome) -> Finding:
    if seen.verdict is Preflight.READY:
        listed = f"; {count(len(seen.models), 'model')} listed" if seen.models else ""
        return Finding("account", f"the key is accepted{listed}", facts={"models": sorted(seen.models)})
    wrong = {
        Preflight.WRONG_KEY: ("the gateway refuses the key", "check the key"),
        Preflight.WRONG_ADDRESS: ("this is not the API of a gateway", "check the address: --base-url"),
        Preflight.UNREACHABLE: ("the gateway has an error", "try again later"),
    }
    text, hint = wrong[seen.verdict]
    said = f": {seen.receipt.message}" if seen.receipt.message else ""
    return Finding("account", f"{text}{said}", Health.PROBLEM, hint, ExitCode.ACCOUNT)
