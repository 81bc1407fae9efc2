"""The Python API: what the command line does, for scripts and notebooks.

    summary = await run("cats.yaml", simulate=True)

It prints nothing, asks nothing, and leaves signals, locale and event loop to its host.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path

from batchrunner.api.account_key import AccountKey
from batchrunner.api.arguments import check_path, options_of, usable_key
from batchrunner.api.errors import in_python
from batchrunner.api.host_thread import HostThread
from batchrunner.manifest import LoadedManifest
from batchrunner.manifest import load_manifest as read_manifest
from batchrunner.output.summary import Summary
from batchrunner.storage import open_inputs


def load_manifest(path: str | PathLike[str]) -> LoadedManifest:
    """Read, check and expand a manifest and the files that it names; sends nothing.

    The result can be given to `run`; its `warnings` are those of `batchrunner validate`.

    Raises:
        ManifestError: it has errors; `problems` has all of them, and the traceback shows them.
        UsageError: the file can't be read.
    """
    with in_python():
        check_path("path", path)
        return read_manifest(Path(path), objects=open_inputs)


async def run(  # noqa: PLR0913  the options of the command
    manifest: str | PathLike[str] | LoadedManifest,
    *,
    directory: str | PathLike[str] | None = None,
    simulate: bool = False,
    scenario: str | PathLike[str] | None = None,
    only: str | Collection[str] | None = None,
    limit: int | None = None,
    max_cost: float | None = None,
    videos: str | None = None,
    collect_on: str | None = None,
    yes: bool = False,
    new: bool = False,
    strict: bool = False,
    base_url: str | None = None,
    api_key: str | None = None,
    api_key_file: str | PathLike[str] | None = None,
    accounts: str | PathLike[str] | Sequence[AccountKey] | None = None,
    insecure: bool = False,
    same_gateway: bool = False,
    time_scale: float | None = None,
) -> Summary:
    """Run a manifest to completion, or resume it, as `batchrunner run` does; return its summary.

    The arguments are the options of `batchrunner run`, which its `--help` explains. `manifest` is a path, or
    what `load_manifest` returned, for one run at a time. `directory` is `-o`: the run directory if not the
    manifest's own, also a pattern such as `nightly/{date}`. `only` is an ID, `label=value`, or several of
    them. `accounts` is the path of an accounts file, or a list of `AccountKey`. Whatever the command would
    ask on a terminal is refused without `yes`. The manifest's `run.on_end` is not started: your program goes
    on by itself.

    The run has a thread and an event loop of its own, so the host's loop may be busy. Cancelling it is like
    Ctrl-C: unanswered submissions are awaited for up to a minute, and the same call resumes; cancelled again,
    it doesn't wait for them. A second run of the same directory raises BusyError while the first one is on.
    `summary.tasks` are the rows of results.csv, with the absolute `path` (or URL) of each video; they are
    read from the ledger when they are asked for. `summary.notices` says, among others, which tasks were paid
    for again although another run directory has them.

    Raises:
        UsageError: the manifest, the arguments or the run directory are wrong, or the run must be confirmed.
            What an earlier run has paid for is collected first; nothing is submitted.
        BatchrunnerError: the run could not begin.
    """
    key, refusal = usable_key(api_key)
    api_key = None  # some tracebacks show local variables
    with in_python():
        if refusal:
            raise refusal
        options = options_of(
            manifest,
            key,
            {
                "directory": directory,
                "simulate": simulate,
                "scenario": scenario,
                "only": only,
                "limit": limit,
                "max_cost": max_cost,
                "videos": videos,
                "collect_on": collect_on,
                "yes": yes,
                "new": new,
                "strict": strict,
                "base_url": base_url,
                "api_key_file": api_key_file,
                "accounts": accounts,
                "insecure": insecure,
                "same_gateway": same_gateway,
                "time_scale": time_scale,
            },
        )
        return await HostThread().carry_out(options)
