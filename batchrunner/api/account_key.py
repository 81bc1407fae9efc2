"""The accounts of a run, as Python programs give them."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Literal

from batchrunner.cli.accounts import FACTOR, LIMIT, NAME, conflict, is_factor, is_limit, is_name
from batchrunner.cli.arguments import invalid_key
from batchrunner.core.errors import BatchrunnerError, UsageError
from batchrunner.core.model import AUTO
from batchrunner.engine.accounts import GivenAccount
from batchrunner.gateway import ApiKey

EXPECTED = "the path of an accounts file, or a list of `batchrunner.AccountKey`"


class AccountKey:
    """An account for `run`: its name and its key. It never shows the key, and can't be pickled."""

    __slots__ = ("_is_default", "_key", "_limit", "_name", "_price", "_refusal")

    def __init__(
        self,
        name: str,
        api_key: str,
        *,
        concurrency: int | Literal["auto"] | None = None,
        price_factor: float = 1.0,
        default: bool = False,
    ) -> None:
        """The fields are those of an accounts file; `concurrency` is the manifest's if it is None.

        Nothing is checked before `run` gets it: an error here would show the key in some tracebacks.
        """
        self._name, self._limit, self._price, self._is_default = name, concurrency, price_factor, default
        origin = f"the key of account {name}" if is_name(name) else "the key of an account"
        self._key: ApiKey | None = None
        self._refusal: BatchrunnerError | None
        if isinstance(api_key, str):
            self._key, self._refusal = ApiKey(api_key.strip(), origin), invalid_key(api_key.strip(), origin)
        else:
            self._refusal = UsageError(f"{origin} must be a str, not {type(api_key).__name__}")

    def __repr__(self) -> str:
        return f"AccountKey({self._name!r})" if is_name(self._name) else "AccountKey(?)"

    def given(self) -> GivenAccount:
        """The account as a command uses it.

        Raises:
            UsageError: a field is wrong.
            AccountError: the key can't be one.
        """
        if not is_name(self._name):  # it may be the key by mistake, so it is not repeated
            raise UsageError("the name of an account is wrong", f"use {NAME}")
        for name, is_right, expected in (
            ("concurrency", self._limit is None or is_limit(self._limit), LIMIT),
            ("price_factor", is_factor(self._price), FACTOR),
            ("default", isinstance(self._is_default, bool), "True or False"),
        ):
            if not is_right:
                raise UsageError(f"`{name}` of account {self._name} is wrong", f"use {expected}")
        if self._refusal or self._key is None:
            raise self._refusal or UsageError(f"account {self._name} has no key")
        limit = AUTO if self._limit == "auto" else self._limit
        return GivenAccount(self._name, self._key, limit, float(self._price), self._is_default)


def given_in(accounts: str | PathLike[str] | Sequence[AccountKey]) -> tuple[GivenAccount, ...]:
    """The accounts of a list; empty for a path, whose file is read like that of the command.

    Raises:
        UsageError: an account is wrong, or they don't go together.
        AccountError: a key can't be one.
    """
    if isinstance(accounts, str | PathLike):
        return ()
    is_list = isinstance(accounts, Sequence) and all(isinstance(one, AccountKey) for one in accounts)
    if not is_list or not accounts:  # it may hold a key, so it is not repeated
        raise UsageError(f"`accounts` must be {EXPECTED}", "leave `accounts` out to use a single key")
    found: list[GivenAccount] = []
    for one in accounts:
        account = one.given()
        if why := conflict(account, found):
            raise why
        found.append(account)
    return tuple(found)
