"""Checks the arguments of `run`, and turns them into the options of the command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from batchrunner.api.account_key import given_in
from batchrunner.cli.accounts import without_key
from batchrunner.cli.arguments import (
    CLUSTER,
    HIGHEST_SCALE,
    LOWEST_SCALE,
    NO_RAY,
    has_ray,
    invalid_key,
    is_cluster,
)
from batchrunner.cli.main import parser
from batchrunner.cli.run import MOST_MONEY
from batchrunner.core.errors import BatchrunnerError, UsageError
from batchrunner.core.redaction import redacted
from batchrunner.core.video_url import PLACE, is_place, normal
from batchrunner.gateway import ApiKey
from batchrunner.manifest import LoadedManifest

MOST_SHOWN = 60
"""Characters of a wrong value that are shown."""


class ArgumentRule(NamedTuple):
    """What an argument may be."""

    is_met: Callable[[object], bool]
    expected: str
    hint: str = ""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != "" and "\0" not in value


def _is_path(value: object) -> bool:
    # An empty path is the working folder, which would get the files of a run.
    return _is_text(value) or (isinstance(value, PathLike) and _is_text(value.__fspath__()))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_selection(value: object) -> bool:
    if isinstance(value, str):
        return _is_text(value)
    # No entry would mean all tasks, which is not what a program wants whose list has become empty.
    return isinstance(value, Collection) and len(value) > 0 and all(map(_is_text, value))


_FLAG = ArgumentRule(lambda value: isinstance(value, bool), "True or False")
_PATH = ArgumentRule(_is_path, "a path that is not empty, as str or pathlib.Path")
_MANIFEST = ArgumentRule(
    lambda value: _is_path(value) or isinstance(value, LoadedManifest),
    f"{_PATH.expected}, or what `load_manifest` returned",
)
_OPTIONAL: Mapping[str, ArgumentRule] = {
    "directory": _PATH._replace(hint="leave `directory` out to use the manifest's own run directory"),
    "scenario": _PATH,
    "only": ArgumentRule(
        _is_selection,
        "an ID, `label=value`, or a list of them that is not empty",
        "leave `only` out to submit all tasks",
    ),
    "limit": ArgumentRule(
        lambda value: _is_number(value) and isinstance(value, Integral) and value > 0,
        "a whole number above 0",
        "leave `limit` out to have no limit",
    ),
    "max_cost": ArgumentRule(
        lambda value: _is_number(value) and 0 < value <= MOST_MONEY,
        f"a number above 0, and at most {MOST_MONEY:,.0f}",
        "leave `max_cost` out to have no limit",
    ),
    "videos": ArgumentRule(lambda value: isinstance(value, str) and is_place(value), PLACE),
    "collect_on": ArgumentRule(lambda value: isinstance(value, str) and is_cluster(value), CLUSTER),
    "base_url": ArgumentRule(_is_text, "an address such as https://easyrouter.io"),
    "api_key_file": _PATH,
    "accounts": _PATH,
    "time_scale": ArgumentRule(
        lambda value: _is_number(value) and LOWEST_SCALE <= value <= HIGHEST_SCALE,
        f"a number from {LOWEST_SCALE} to {HIGHEST_SCALE}",
        "0.01 runs 100 times faster",
    ),
}
"""The arguments that may be None, too."""
_FLAGS = ("simulate", "yes", "new", "strict", "insecure", "same_gateway")
_PATHS = {"directory": "output", "scenario": "scenario"} | {
    name: name for name in ("api_key_file", "accounts")
}
"""Arguments that are paths, and the names of the options."""


def usable_key(api_key: object) -> tuple[ApiKey | None, BatchrunnerError | None]:
    """The key, or the error to raise once no local variable holds it: some tracebacks show these."""
    if api_key is None:
        return None, None
    if not isinstance(api_key, str):
        what = f"`api_key` must be a str, not {type(api_key).__name__}"
        return None, UsageError(what, "leave `api_key` out to take the key from the environment")
    api_key = api_key.strip()
    return ApiKey(api_key, "`api_key`"), invalid_key(api_key, "`api_key`")


def check_path(name: str, value: object) -> None:
    """Check an argument that must be a path.

    Raises:
        UsageError: it is none.
    """
    _check(name, value, _PATH)


def options_of(manifest: Any, key: ApiKey | None, given: Mapping[str, Any]) -> argparse.Namespace:
    """The options of the command for these arguments.

    Raises:
        UsageError: one of them is not what it must be, or they don't go together.
    """
    _check("manifest", manifest, _MANIFEST)
    accounts = given["accounts"]
    own = () if accounts is None else given_in(accounts)
    given = {**given, "accounts": None if own else accounts}
    for name, value in given.items():
        if name in _FLAGS or value is not None:
            _check(name, value, _FLAG if name in _FLAGS else _OPTIONAL[name])
    if key and given["api_key_file"] is not None:
        raise UsageError("`api_key` and `api_key_file` are both given", "pass only one of them")
    if accounts is not None and (key or given["api_key_file"] is not None):
        raise UsageError("`accounts` and another key are given", "name all keys in `accounts`")
    if given["collect_on"] is not None and not has_ray():
        raise UsageError(*NO_RAY.split(": "))
    if key and given["simulate"]:
        raise UsageError("`simulate=True` uses its own gateway and key", "leave `api_key` out")
    loaded = manifest if isinstance(manifest, LoadedManifest) else None
    # Absolute: the host may change its working folder while the run is on.
    path = Path(loaded.plan.manifest if loaded else manifest).absolute()
    options = parser().parse_args(["run", "--quiet", "--", str(path)])
    vars(options).update({name: value for name, value in given.items() if name not in _PATHS})
    vars(options).update({option: _absolute(given[name]) for name, option in _PATHS.items()})
    vars(options).update(manifest=path, loaded=loaded, api_key=key, may_ask=False)
    if own:
        options.given_accounts = {False: own, True: tuple(map(without_key, own))}
    only, limit, amount = given["only"], given["limit"], given["max_cost"]
    options.only = [only] if isinstance(only, str) else list(only or ())
    options.limit = None if limit is None else int(limit)
    options.videos = given["videos"] and normal(given["videos"])
    options.max_cost = None if amount is None else float(amount)
    return options


def _absolute(path: str | PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path).absolute()


def _check(name: str, value: object, rule: ArgumentRule) -> None:
    if not rule.is_met(value):
        shown = redacted(repr(value))
        shown = shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}…"
        raise UsageError(f"`{name}` must be {rule.expected}, not {shown}", rule.hint)
