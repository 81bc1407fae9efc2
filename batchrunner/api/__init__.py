"""The Python API: what the command line does, for scripts and notebooks.

    summary = await run("cats.yaml", simulate=True)

It prints nothing, asks nothing, and leaves signals, locale and event loop to its host.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from batchrunner.api.errors import for_python, in_python
from batchrunner.api.host_thread import HostThread
from batchrunner.cli.arguments import invalid_key
from batchrunner.cli.main import parser
from batchrunner.cli.run import MOST_MONEY
from batchrunner.core.errors import UsageError
from batchrunner.core.summary import Summary
from batchrunner.gateway import ApiKey
from batchrunner.manifest import LoadedManifest
from batchrunner.manifest import load_manifest as read_manifest


def load_manifest(path: str | Path) -> LoadedManifest:
    """Read, check and expand a manifest and the files that it names; sends nothing.

    The result can be given to `run`; its `warnings` are those of `batchrunner validate`.

    Raises:
        ManifestError: it has errors; `problems` has all of them, and the traceback shows them.
        UsageError: the file can't be read.
    """
    with in_python():
        return read_manifest(Path(path))


async def run(  # noqa: PLR0913  the options of the command
    manifest: str | Path | LoadedManifest,
    *,
    directory: str | Path | None = None,
    simulate: bool = False,
    scenario: str | Path | None = None,
    only: str | Sequence[str] = (),
    limit: int | None = None,
    max_cost: float | None = None,
    yes: bool = False,
    new: bool = False,
    strict: bool = False,
    base_url: str | None = None,
    api_key: str | None = None,
    api_key_file: str | Path | None = None,
    insecure: bool = False,
    same_gateway: bool = False,
    time_scale: float | None = None,
) -> Summary:
    """Run a manifest to completion, or resume it, as `batchrunner run` does; return its summary.

    The arguments are the options of `batchrunner run`, which its `--help` explains. `manifest` is a path, or
    what `load_manifest` returned, for one run at a time. `directory` is `-o`: the run directory if not the
    manifest's own, also a pattern such as `nightly/{date}`. `only` is an ID, `label=value`, or several of
    them. Whatever the command would ask on a terminal is refused without `yes`.

    The run has a thread and an event loop of its own, so the host's loop may be busy. Cancelling it is like
    Ctrl-C: unanswered submissions are awaited for up to a minute, and the same call resumes; cancelled again,
    it doesn't wait for them. A second run of the same directory raises BusyError while the first one is on.
    `summary.tasks` are the rows of results.csv, with the absolute `path` of each video; they are read from
    the ledger when they are asked for.

    Raises:
        UsageError: the manifest, the arguments or the run directory are wrong, or the run must be confirmed.
            What an earlier run has paid for is collected first; nothing is submitted.
        BatchrunnerError: the run could not begin.
    """
    key, refusal = None, None
    if api_key is not None:
        api_key = api_key.strip()
        key, refusal = ApiKey(api_key, "`api_key`"), invalid_key(api_key, "`api_key`")
    api_key = None  # some tracebacks show local variables
    if refusal:
        raise for_python(refusal)
    for name, number in (("limit", limit), ("max_cost", max_cost)):
        if number is not None and not (isinstance(number, int | float) and 0 < number <= MOST_MONEY):
            raise UsageError(
                f"{name}={number!r} is not a number above 0", f"leave `{name}` out to have no limit"
            )
    path = Path(manifest.plan.manifest if isinstance(manifest, LoadedManifest) else manifest).absolute()
    options = parser().parse_args(["run", "--quiet", "--", str(path)])
    given: dict[str, object] = {
        "manifest": path,
        "loaded": manifest if isinstance(manifest, LoadedManifest) else None,
        "api_key": key,
        "simulate": simulate,
        "only": [only] if isinstance(only, str) else list(only),
        "limit": limit,
        "max_cost": max_cost,
        "yes": yes,
    }
    given |= {"new": new, "strict": strict, "base_url": base_url, "insecure": insecure}
    given |= {"same_gateway": same_gateway, "time_scale": time_scale}
    paths = {"output": directory, "scenario": scenario, "api_key_file": api_key_file}
    # Absolute: the host may change its working folder while the run is on.
    given |= {name: None if path is None else Path(path).absolute() for name, path in paths.items()}
    vars(options).update(given | {"may_ask": False})
    with in_python():
        return await HostThread().carry_out(options)
