"""`batchrunner doctor`: checks what a run needs; what it shows can be pasted into a report."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.cli.accounts import CREDENTIAL, given_accounts
from batchrunner.cli.connection import named_address
from batchrunner.cli.console import say, say_json
from batchrunner.cli.nights import latest
from batchrunner.cli.process import run_async
from batchrunner.cli.run_directory import REAL, SIMULATED, has_ledger
from batchrunner.core.diagnosis import Finding, Health, exit_code
from batchrunner.core.errors import AccountError, BatchrunnerError, ExitCode, UsageError
from batchrunner.core.file_names import DATE
from batchrunner.core.identity import SIMULATOR
from batchrunner.core.redaction import redacted, redacted_values
from batchrunner.core.text import count, printable

if TYPE_CHECKING:
    from batchrunner.gateway import ApiKey

_WIDTH = 12


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `doctor`."""
    parser.add_argument(
        "directory",
        metavar="DIR",
        type=Path,
        nargs="?",
        default=Path(),
        help="run directory, its manifest, or where one is to be (default: here)",
    )
    parser.add_argument("--offline", action="store_true", help="don't ask the gateway")
    shared.add_json(parser)
    group = parser.add_argument_group("gateway")
    shared.add_base_url(group)
    shared.add_key_and_transport(group)
    shared.add_accounts(group, "examine each of several accounts, whose keys FILE names")
    parser.set_defaults(run=doctor)


def doctor(options: argparse.Namespace) -> int:
    """Examine the machine, the run directory, the key and the gateway; report all of it at once."""
    findings = run_async(_examined(options))
    code = exit_code(findings)
    if options.json:
        say_json({"exit_code": int(code), "findings": [_as_values(one) for one in findings]})
        return code
    for one in findings:
        say(f"{one.health:<8} {one.subject:<{_WIDTH}} {_shown(one.text)}")
        if one.hint and one.health is not Health.OK:
            say(f"{'':<{_WIDTH + 10}}hint: {_shown(one.hint)}")
    bad = [one for one in findings if one.health is Health.PROBLEM]
    warned = [one for one in findings if one.health is Health.WARNING]
    say(f"{count(len(bad), 'problem')}, {count(len(warned), 'warning')}")
    return code


async def _examined(options: argparse.Namespace) -> list[Finding]:
    from batchrunner.operations import examination  # noqa: PLC0415

    findings = list(examination.of_machine())
    directory, address, faults = _place(options.directory)
    findings += faults
    about, binding = await examination.of_directory(directory)
    findings += about
    bound = binding.gateway if binding else ""
    if bound == SIMULATOR and not options.base_url:
        return [*findings, Finding("gateway", "simulated: no key and no address are needed")]
    findings += examination.of_network()
    keys, told = _keys(options)
    findings.append(told)
    return findings + await _gateway(options, bound or address, keys)


def _place(named: Path) -> tuple[Path, str, list[Finding]]:
    """The run directory, and the gateway's address in its manifest; with what is wrong with the manifest."""
    if DATE in str(named):
        with suppress(UsageError):  # a run of this pattern is yet to be
            return latest(named), "", []
    if not named.is_file():
        return named, "", []
    from batchrunner.manifest import load_manifest  # noqa: PLC0415
    from batchrunner.storage import open_inputs  # noqa: PLC0415

    beside = [named.with_suffix(ending) for ending in (REAL, SIMULATED)]
    directory = next((path for path in beside if has_ledger(path)), beside[0])
    try:
        loaded = load_manifest(named, objects=open_inputs)
    except BatchrunnerError as error:
        hint = error.hint or "list them with `batchrunner validate`"
        return directory, "", [Finding("manifest", str(error), Health.PROBLEM, hint, error.exit_code)]
    tasks = count(len(loaded.plan.tasks), "task")
    warnings = f", {count(len(loaded.warnings), 'warning')}" if loaded.warnings else ""
    return directory, loaded.plan.base_url, [Finding("manifest", f"{tasks}{warnings}")]


def _keys(options: argparse.Namespace) -> tuple[dict[str, ApiKey], Finding]:
    """The keys of the accounts by name, or the only key, whose account has none; never a key itself."""
    try:
        keys = {account.name: account.key for account in given_accounts(options)}
    except BatchrunnerError as error:
        return {}, Finding("accounts", str(error), Health.PROBLEM, error.hint, error.exit_code)
    if not keys:
        return _key(options)
    source = str(options.accounts or f"the credential {CREDENTIAL}")
    facts = {"names": list(keys), "from": source}
    return keys, Finding("accounts", f"{', '.join(keys)} (from {source})", facts=facts)


def _key(options: argparse.Namespace) -> tuple[dict[str, ApiKey], Finding]:
    """The only key, whose account has no name, and where it comes from; never the key itself."""
    try:
        key = shared.api_key(options)
    except AccountError as error:
        return {}, Finding("key", str(error), Health.PROBLEM, error.hint, ExitCode.ACCOUNT)
    facts: dict[str, object] = {"from": key.origin}
    mode = ""
    if options.api_key_file:
        facts["mode"] = f"{options.api_key_file.stat().st_mode & 0o7777:04o}"
        mode = f", mode {facts['mode']}"
    return {"": key}, Finding("key", f"from {key.origin}{mode}", facts=facts)


async def _gateway(options: argparse.Namespace, known: str, keys: Mapping[str, ApiKey]) -> list[Finding]:
    from batchrunner.gateway import GatewaySettings, check_address  # noqa: PLC0415
    from batchrunner.operations.examination import of_gateway  # noqa: PLC0415

    url = named_address(options, known) or shared.DEFAULT_BASE_URL
    origins = (
        (options.base_url, "--base-url"),
        (os.environ.get(shared.URL_VARIABLE), shared.URL_VARIABLE),
        (known, "the run directory or the manifest"),
    )
    named_by = next((origin for given, origin in origins if given), "the default")
    settings = GatewaySettings(url, insecure=options.insecure)
    try:
        check_address(url, options.insecure)
    except BatchrunnerError as error:
        return [Finding("gateway", str(error), Health.PROBLEM, error.hint)]
    if options.offline:
        return [Finding("gateway", f"{url} ({named_by}), not asked", Health.NOTE, facts={"address": url})]
    return await of_gateway(settings, named_by, keys)


def _shown(text: str) -> str:
    return printable(redacted(text))


def _as_values(one: Finding) -> object:
    return redacted_values(
        {
            "subject": one.subject,
            "health": one.health.value,
            "text": one.text,
            "hint": one.hint if one.health is not Health.OK else "",
            "facts": dict(one.facts),
        }
    )
