"""Tells other programs about a run: `--events`, `--on-end`, `--notify`. None of it changes the exit code."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from batchrunner.cli import arguments as shared
from batchrunner.cli.console import error_values, say_json, talk
from batchrunner.cli.crash import explained
from batchrunner.cli.process import run_async
from batchrunner.core.redaction import redacted_values

if TYPE_CHECKING:
    from batchrunner.core.model import Plan
    from batchrunner.engine.accounts import GivenAccount
    from batchrunner.output.event_stream import EventStream

CODE_VARIABLE = "BATCHRUNNER_EXIT_CODE"
"""Tells the command of `--on-end` the exit code."""
Values = dict[str, object]
V = TypeVar("V")


def add_listeners(parser: argparse.ArgumentParser) -> None:
    """Add the options for other programs that want to know about the run."""
    group = parser.add_argument_group("for other programs")
    group.add_argument(
        "--events", metavar="FILE", type=Path, help="append what happens to FILE, as JSON lines"
    )
    group.add_argument(
        "--on-end",
        metavar="COMMAND",
        help="start this shell command once at the end, with the summary as JSON on its stdin and the exit "
        f"code in {CODE_VARIABLE} (default: run.on_end of the manifest)",
    )
    group.add_argument(
        "--notify",
        metavar="URL",
        action="append",
        default=[],
        help="POST the summary as JSON to URL at the end, or send it by apprise (repeatable)",
    )


class Listeners:
    """Who is told about one run."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Open the file of events, and check the addresses.

        Raises:
            BatchrunnerError: one of them can't be used.
        """
        self._options = options
        self._command, self._folder = options.on_end or "", Path()
        self._own: dict[str, str] = {}
        """By manifest: its own command, if there are several manifests."""
        if options.notify:
            from batchrunner.output.notification import check_notify  # noqa: PLC0415

            for url in options.notify:
                check_notify(url)
        self.events: EventStream | None = None
        if options.events:
            from batchrunner.output.event_stream import EventStream  # noqa: PLC0415

            self.events = EventStream(options.events)

    def learn(self, plan: Plan) -> None:
        """Take the command from the manifest, to be started in its folder, unless one was given."""
        if self._options.on_end is None and plan.settings.on_end:
            self._command = plan.settings.on_end
            self._folder = self._options.manifest.parent

    def learn_of(self, manifest: Path, plan: Plan) -> None:
        """Take the command of one manifest among several, which gets the summary of its own run."""
        if self._options.on_end is None and plan.settings.on_end:
            self._own[str(manifest)] = plan.settings.on_end

    def tell_all(self, code: int, runs: Sequence[Mapping[str, object]]) -> None:
        """Tell everybody how the command ended, and the manifests' own commands how their runs did."""
        for values in runs:
            if command := self._own.get(str(values["manifest"])):
                self._start(command, Path(str(values["manifest"])).parent, _encoded(_safe(values)), values)
        self.tell({"exit_code": code, "runs": list(runs)})

    def tell(self, values: Mapping[str, object]) -> None:
        """Tell everybody how the command ended."""
        safe = _safe(values)
        if self.events:
            self.events.ended(safe)
            if self.events.fault:
                talk(f"--events {self._options.events}: {self.events.fault}; lines are missing")
        summary = _encoded(safe)
        if self._command:
            self._start(self._command, self._folder, summary, values)
        for url in self._options.notify:
            _notify(url, safe, summary)

    def _start(self, command: str, folder: Path, summary: bytes, values: Mapping[str, object]) -> None:
        from batchrunner.output.on_end import start_on_end  # noqa: PLC0415

        environment = _without_key(self._options) | {CODE_VARIABLE: str(values["exit_code"])}
        if fault := start_on_end(command, summary, environment, folder):
            talk(f"the command to start at the end failed: {fault}")


def _safe(values: Mapping[str, object]) -> Values:
    safe: Values = dict(redacted_values(dict(values)))  # type: ignore[call-overload]
    return safe


def _encoded(values: Values) -> bytes:
    return json.dumps(values, ensure_ascii=True, default=str).encode() + b"\n"


def attended_several(
    options: argparse.Namespace, work: Callable[[Listeners], tuple[int, list[Values]]]
) -> int:
    """The same as `attended` for several runs: a list of values, of which each names its manifest.

    Raises:
        BatchrunnerError: the one that ended the work, once the others were told.
    """
    return _heard(options, work, Listeners.tell_all)


def attended(options: argparse.Namespace, work: Callable[[Listeners], tuple[int, Values]]) -> int:
    """Do the work of a command, show its values with --json, and tell others; return its exit code.

    Raises:
        BatchrunnerError: the one that ended the work, once the others were told.
    """
    return _heard(options, work, lambda listeners, _, values: listeners.tell(values))


def _heard(
    options: argparse.Namespace,
    work: Callable[[Listeners], tuple[int, V]],
    tell: Callable[[Listeners, int, V], None],
) -> int:
    listeners = Listeners(options)
    try:
        code, values = work(listeners)
    except Exception as error:
        told = explained(error)
        listeners.tell(error_values(told))
        raise told from error
    if options.json:
        say_json(values)
    tell(listeners, code, values)
    return code


def _notify(url: str, values: Values, summary: bytes) -> None:
    from batchrunner.output.notification import (  # noqa: PLC0415
        is_web,
        message,
        post,
        send_by_apprise,
        shown,
    )

    fault = run_async(post(url, summary)) if is_web(url) else send_by_apprise(url, *message(values))
    if fault:
        talk(f"--notify {shown(url)}: {fault}")


def _without_key(options: argparse.Namespace) -> dict[str, str]:
    """This process's environment without the API keys, under whatever name, and without the way to them."""
    kept = {name: text for name, text in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
    keys = {os.environ.get(shared.KEY_VARIABLE, "").strip()}
    if options.api_key_file:
        with suppress(OSError, UnicodeDecodeError):  # then it was not used either
            keys.add(options.api_key_file.read_text(encoding="utf-8").strip())
    keys.discard("")
    given: dict[bool, tuple[GivenAccount, ...]] = getattr(options, "given_accounts", {})
    accounts = [account.key for account in given.get(False, ())]
    return {
        name: text
        for name, text in kept.items()
        if not any(key in text for key in keys) and all(key.mask(text) == text for key in accounts)
    }
