"""Reads the accounts file, which names the keys that a run may use; it never holds a key itself.

Its errors quote nothing that might be a key: neither lines of the file nor values.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrunner.cli import arguments as shared
from batchrunner.cli.totals import FEW
from batchrunner.core.errors import AccountError, UsageError
from batchrunner.core.model import AUTO, Plan, RunSettings

if TYPE_CHECKING:
    from batchrunner.engine.accounts import GivenAccount
    from batchrunner.gateway import ApiKey
    from batchrunner.manifest.nodes import Node

CREDENTIAL = "easyrouter_accounts"
"""Name of the systemd credential that is an accounts file."""
EXAMPLE = "accounts: [{name: main, key_file: main.key}, {name: second, key_env: SECOND_KEY}]"
NAME = "40 letters, digits, or `_.-` at most, and not a key"
LIMIT = "a number from 1 to 1000, or auto"
FACTOR = "a number above 0, such as 0.9"
_FIELDS = ("name", "key_file", "key_env", "concurrency", "price_factor", "default")
_NAME = re.compile(r"(?!sk-)[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_BYTES = 1_000_000
_MOST_AT_ONCE, _MOST_FACTOR = 1000, 1000


def given_accounts(options: argparse.Namespace, keyless: bool | None = None) -> tuple[GivenAccount, ...]:
    """The accounts of the command, with their keys; empty if it has only one key, without a name.

    Variables with keys are removed from the environment, unless it is that of a Python program.
    `keyless` accounts are for the simulated gateway: each has a key made from its name, and no real key is
    read. By default, that depends on `--simulate`.

    Raises:
        UsageError: the accounts file is wrong.
        AccountError: a key is missing, or can't be one.
    """
    if keyless is None:
        keyless = bool(getattr(options, "simulate", False))
    known: dict[bool, tuple[GivenAccount, ...]] = getattr(options, "given_accounts", {})
    if keyless not in known:
        options.given_accounts = known = known | {keyless: _read(options, keyless)}
    return known[keyless]


def simulated_key(name: str) -> ApiKey:
    """The key of an account for the simulated gateway; a scenario may name it, since it is no secret."""
    from batchrunner.gateway import ApiKey  # noqa: PLC0415

    return ApiKey(f"{shared.SIMULATED_KEY}-{name}", "the simulator")


def without_key(account: GivenAccount) -> GivenAccount:
    """The account for the simulated gateway, without its real key."""
    return replace(account, key=simulated_key(account.name))


def at_highest_price(plan: Plan, accounts: Sequence[GivenAccount]) -> Plan:
    """The plan with the prices of the most expensive account: nobody knows yet which one takes a task."""
    factor = max((account.price for account in accounts), default=1.0)
    return replace(plan, pricing=replace(plan.pricing, factor=factor)) if factor != 1.0 else plan


def with_all_slots(accounts: Sequence[GivenAccount], settings: RunSettings) -> RunSettings:
    """The settings as if the slots of all accounts were those of one; with `auto`, an account has a few."""
    limits = [settings.concurrency if one.concurrency is None else one.concurrency for one in accounts]
    if not limits:
        return settings
    known = sum(FEW if limit == AUTO else limit for limit in limits)
    return replace(settings, concurrency=known if any(limits) else AUTO)


def in_words(accounts: Sequence[GivenAccount]) -> str:
    """Their names, and which price counts."""
    factors = [account.price for account in accounts]
    text = ", ".join(account.name for account in accounts)
    if max(factors) == min(factors):
        return text
    return f"{text}; the cost is with price_factor {max(factors):g}, the highest (lowest: {min(factors):g})"


def conflict(account: GivenAccount, others: Sequence[GivenAccount]) -> UsageError | None:
    """Why an account can't be used beside others; None if it can."""
    if any(one.name == account.name for one in others):
        return UsageError(f"two accounts are named {account.name}", "give each its own name")
    if twin := next((one for one in others if one.key.is_same(account.key)), None):
        told = f"{twin.name} and {account.name} have the same key"
        return UsageError(told, "list each key once: both would use the same slots")
    if account.is_default and any(one.is_default for one in others):
        return UsageError("two accounts are the default", "keep `default: true` for one")
    return None


def _single_key(options: argparse.Namespace) -> object:
    """The key that the command was given besides, or its file."""
    return getattr(options, "api_key_file", None) or getattr(options, "api_key", None)


def _read(options: argparse.Namespace, keyless: bool) -> tuple[GivenAccount, ...]:
    named, key = options.accounts, _single_key(options)
    if named and key:
        raise UsageError("--accounts and --api-key-file are both given", "name all keys in the accounts file")
    file = _File(named, str(named), private=True, keyless=keyless) if named else None
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not (file or keyless or key or os.environ.get(shared.KEY_VARIABLE)) and folder:
        credential = Path(folder) / CREDENTIAL
        if credential.is_file():
            file = _File(credential, f"the credential {CREDENTIAL}", private=False)
    if file is None:
        return ()
    found = file.accounts()
    if getattr(options, "may_ask", True):  # no child process may have the keys
        for variable in file.variables:
            os.environ.pop(variable, None)
    return found


class _File:
    """An accounts file; `private` ones, and their key files, may be readable only by their owner."""

    def __init__(self, path: Path, shown: str, private: bool, keyless: bool = False) -> None:
        self._path, self._shown, self._private, self._keyless = path, shown, private, keyless
        self.variables: list[str] = []
        """Those that keys were read from, once it was read."""

    def accounts(self) -> tuple[GivenAccount, ...]:
        """Its accounts, in the order of the file."""
        found: list[GivenAccount] = []
        for entry in self._entries():
            account = self._account(entry)
            if why := conflict(account, found):
                raise self._fault(entry, str(why), why.hint)
            found.append(account)
        return tuple(found)

    def _entries(self) -> list[Node]:
        from batchrunner.manifest.reporting import Report  # noqa: PLC0415  it loads the YAML parser
        from batchrunner.manifest.source import Source, TextFault, read_text  # noqa: PLC0415
        from batchrunner.manifest.yaml_reader import read_yaml  # noqa: PLC0415

        if self._private:
            shared.check_private(self._path)
        report = Report()
        try:
            source = Source(self._shown, read_text(self._path, _MOST_BYTES), is_yaml=True)
        except OSError as error:
            raise UsageError(f"can't read {self._shown}: {error.strerror}", "check --accounts") from error
        except TextFault as fault:
            raise UsageError(f"{self._shown}: {fault.message}", fault.hint) from fault
        root = read_yaml(source, report, "`accounts`")
        if root is None or report.has_errors:
            place = report.problems()[0].place
            where = ":".join(str(part) for part in (place.file, place.line, place.column) if part)
            raise UsageError(f"{where}: this can't be read as YAML", f"write it like this: {EXAMPLE}")
        listed = _mapping(root).get("accounts")
        if _mapping(root).keys() != {"accounts"} or listed is None:
            raise self._fault(root, "it must have `accounts:`, and nothing else", f"for example {EXAMPLE}")
        if not isinstance(listed.value, list) or not listed.value:
            raise self._fault(listed, "`accounts` must be a list of accounts", f"for example {EXAMPLE}")
        return listed.value

    def _account(self, entry: Node) -> GivenAccount:
        from batchrunner.engine.accounts import GivenAccount  # noqa: PLC0415

        fields = _mapping(entry)
        for key, node in fields.items():
            if key not in _FIELDS:
                raise self._unknown(key, node)
        name = self._checked(entry, "name", is_name, NAME)
        if ("key_file" in fields) == ("key_env" in fields):
            told = f"account {name} needs either `key_file` or `key_env`"
            raise self._fault(entry, told, "a key itself is never written into this file")
        limit = self._checked(entry, "concurrency", is_limit, LIMIT, None)
        factor = self._checked(entry, "price_factor", is_factor, FACTOR, 1.0)
        default = self._checked(entry, "default", _is_flag, "true or false", False)
        concurrency = AUTO if limit == "auto" else limit
        return GivenAccount(str(name), self._key(entry, str(name)), concurrency, float(factor), default)

    def _key(self, entry: Node, name: str) -> ApiKey:
        """The key of an account; no error repeats it, or what may be one by mistake."""
        fields = _mapping(entry)
        if node := fields.get("key_env"):
            variable = node.value if isinstance(node.value, str) else ""
            if not _VARIABLE.fullmatch(variable):
                raise self._fault(node, "`key_env` must be the name of a variable", "such as SECOND_KEY")
            self.variables.append(variable)
            if self._keyless:
                return simulated_key(name)
            if value := os.environ.get(variable):
                return shared.checked_key(value.strip(), variable)
            told = f"{self._shown}: account {name}: the variable {variable} is not set"
            raise AccountError(told, f"set {variable} to its key")
        node = fields["key_file"]
        if not isinstance(node.value, str) or not node.value or node.value.startswith("sk-"):
            raise self._fault(node, "`key_file` must be the path of a file", "such as main.key")
        if self._keyless:
            return simulated_key(name)
        path = self._path.parent / node.value
        private = self._private or path.parent != self._path.parent
        hint = f"correct `key_file` of account {name} in {self._shown}"
        return shared.checked_key(shared.key_in(path, private, hint), node.value)

    def _checked(
        self,
        entry: Node,
        field: str,
        is_right: Callable[[object], bool],
        expected: str,
        default: object = ...,
    ) -> Any:
        node = _mapping(entry).get(field)
        if node is None and default is not ...:
            return default
        if node is None:
            raise self._fault(entry, f"`{field}` is missing", f"for example {EXAMPLE}")
        if not is_right(node.value):
            raise self._fault(node, f"`{field}` is wrong", f"use {expected}")
        return node.value

    def _unknown(self, key: str, node: Node) -> UsageError:
        never = "a key itself is never written here"
        if close := difflib.get_close_matches(key, _FIELDS, 1):
            return self._fault(node, f"`{key}` is unknown", f"did you mean `{close[0]}`? ({never})")
        return self._fault(node, "an account has an unknown field", f"use {', '.join(_FIELDS)}; {never}")

    def _fault(self, node: Node, message: str, hint: str) -> UsageError:
        return UsageError(f"{self._shown}:{node.line}: {message}", hint)


def _mapping(node: Node) -> Mapping[str, Node]:
    return node.value if isinstance(node.value, dict) else {}


def is_name(value: object) -> bool:
    """Whether an account may be called so."""
    return isinstance(value, str) and bool(_NAME.fullmatch(value))


def is_limit(value: object) -> bool:
    """Whether an account may have so many generations in flight."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value == "auto" or (is_number and 1 <= int(str(value)) <= _MOST_AT_ONCE)


def is_factor(value: object) -> bool:
    """Whether an account may pay that, in relation to the prices."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < float(str(value)) <= _MOST_FACTOR


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)
