"""Loads a manifest into a plan: read, check, expand; or reports everything that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from batchrunner.core.errors import ManifestError, UsageError
from batchrunner.core.estimate import REFERENCE_CURRENCY, unpriced
from batchrunner.core.model import Plan, Pricing, RunSettings
from batchrunner.core.problems import Place, Problem
from batchrunner.core.rules.inputs import located
from batchrunner.core.rules.limits import Limits
from batchrunner.core.text import is_text, printable
from batchrunner.core.video_url import is_in_bucket
from batchrunner.manifest.chains import ChainLinker
from batchrunner.manifest.entries import Expanded
from batchrunner.manifest.equal_tasks import refuse_equal_ids, warn_of_equal_requests
from batchrunner.manifest.expand import Expander
from batchrunner.manifest.limits_file import load_limits
from batchrunner.manifest.models_file import read_models
from batchrunner.manifest.nodes import Node, place_of, plain
from batchrunner.manifest.opening_hours import impossible_hours
from batchrunner.manifest.origins import Origins
from batchrunner.manifest.plan_store import PlanStore
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.settings import beyond, budget, fit, pricing, run_settings, size
from batchrunner.manifest.source import Source, TextFault, read_text
from batchrunner.manifest.validation import Part, check
from batchrunner.manifest.yaml_reader import read_yaml
from batchrunner.media.objects import OpenObjects

MAX_BYTES = 64_000_000
TOLD_EVERY = 1_000
"""Tasks between two calls of `progress`."""
Progress = Callable[[int], None]
"""Is told how many tasks have been read."""


class UrlUse(NamedTuple):
    """An input URL and where it was first used."""

    url: str
    kind: str
    """image, video or audio."""
    place: Place


@dataclass(frozen=True, slots=True)
class LoadedManifest:
    """A manifest that can be run."""

    plan: Plan
    warnings: tuple[Problem, ...]
    limits: Limits
    """The limits that its tasks were checked against."""
    urls: tuple[UrlUse, ...] = ()
    """Each distinct input URL once, if requested."""


def load_manifest(
    path: str | Path,
    with_urls: bool = False,
    objects: OpenObjects | None = None,
    videos: str = "",
    progress: Progress | None = None,
) -> LoadedManifest:
    """Read, check and expand a manifest and the files that it names.

    `with_urls` collects the URLs of its inputs for `check_urls`; `objects` opens its inputs in buckets;
    `videos` is the place for videos that was given instead of its own; `progress` is called now and then
    with the number of tasks so far.

    Raises:
        ManifestError: it has errors; the exception holds all problems, warnings included.
        UsageError: the file can't be read.
    """
    path = Path(path)
    if not is_text(str(path.absolute())):
        message = f"the path of the manifest, {str(path.absolute())!r}, is not valid text"
        raise UsageError(message, "rename the file or its folder, using UTF-8 characters")
    report = Report()
    report.begin(str(path))
    try:
        source = Source(str(path), read_text(path, MAX_BYTES), is_yaml=True)
    except TextFault as fault:
        report.add(Source(str(path), "").place(fault.line, fault.column), fault.message, fault.hint)
        raise ManifestError(report.problems()) from fault
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise UsageError(
            f"{path} can't be read: {reason}", "pass the path of a manifest, a YAML file"
        ) from error
    return load_source(path, source, report, with_urls, objects=objects, videos=videos, progress=progress)


def load_source(
    path: Path,
    source: Source,
    report: Report,
    with_urls: bool = False,
    most: int | None = None,
    objects: OpenObjects | None = None,
    videos: str = "",
    progress: Progress | None = None,
) -> LoadedManifest:
    """Check and expand a manifest whose text is given, as if it were in the file `path`.

    With `most`, only the first so many rows or files of each entry.

    Raises:
        ManifestError: it has errors.
    """
    root = read_yaml(source, report)
    objects = cache(objects) if objects else None
    urls = _Urls() if with_urls else None
    plan = None
    if root is not None:
        plan = _planned(path.absolute(), source, root, report, urls, most, objects, videos, progress)
    if plan is None or report.has_errors:
        raise ManifestError(report.problems())
    return LoadedManifest(plan, report.problems(), load_limits(plan.models), urls.all() if urls else ())


def _planned(
    path: Path,
    source: Source,
    root: Node,
    report: Report,
    urls: _Urls | None,
    most: int | None,
    objects: OpenObjects | None,
    videos: str,
    progress: Progress | None,
) -> Plan | None:
    """The plan, valid only if `report` has no errors; the URLs of its tasks are added to `urls`."""
    if not isinstance(root.value, dict):
        hint = "start with `version: 1` and `tasks:`"
        report.add(
            source.place(root.line, root.column), "a manifest must be a mapping of keys to values", hint
        )
        return None
    top = _top(source, root, report)
    defaults = root.value.get("defaults")
    if defaults is not None:
        _check("defaults", source, defaults, plain(defaults), report)
    models = read_models(path.parent, top["models"], root, source, report) if top.get("models") else ""
    figures = replace(load_limits(models), complete=bool(models) or _is_unset(root, "models"))
    resizing = fit(top["images"]) if top.get("images") else None
    settings = run_settings(top["run"]) if top.get("run") else RunSettings()
    place = videos or settings.videos
    uploads = place if is_in_bucket(place) else ""
    expander = Expander(path, source, report, defaults, figures, resizing, most, objects, uploads)
    entries = root.value.get("tasks")
    nodes = entries.value if entries is not None and isinstance(entries.value, list) else []
    tasks, origins = PlanStore(), Origins()
    chains = ChainLinker(tasks, origins, report, figures)
    for one in _counted(chain.from_iterable(map(expander.expand, nodes)), progress):
        origins.begin(one.entry, len(tasks))
        is_open = chains.note(one, len(tasks))
        if one.task is not None and not report.has_errors:
            tasks.add(one.task, is_open)
        else:
            tasks.add_broken(one.id)
        if urls is not None:
            urls.add(one)
    refuse_equal_ids(tasks, origins, report)
    if not report.has_errors:
        tasks.finish()
    chains.link()
    if not report.has_errors:
        warn_of_equal_requests(tasks, origins, report)
    gateway = top.get("gateway") or {}
    prices = pricing(top["pricing"]) if top.get("pricing") else Pricing()
    limits = budget(top.get("budget") or {}, prices.currency or REFERENCE_CURRENCY)
    if limits.limits_cost and not report.has_errors:
        _refuse_unpriced(tasks, figures, prices, source.place(*place_of(root, ("budget", "cost"))), report)
    return Plan(
        name=top.get("name", path.stem),
        manifest=str(path),
        tasks=tasks,
        settings=settings,
        pricing=prices,
        budget=limits,
        base_url=gateway.get("base_url", ""),
        named="name" in top,
        models=models,
    )


def _counted(tasks: Iterable[Expanded], progress: Progress | None) -> Iterator[Expanded]:
    for number, one in enumerate(tasks, start=1):
        yield one
        if progress and number % TOLD_EVERY == 0:
            progress(number)


def _is_unset(root: Node, key: str) -> bool:
    node = root.child(key)
    return node is None or node.value is None


def _top(source: Source, root: Node, report: Report) -> dict[str, Any]:
    """The checked sections except `defaults` and `tasks`; those with errors are left out."""
    assert isinstance(root.value, dict)  # noqa: S101
    values: dict[str, Any] = {
        key: plain(node) for key, node in root.value.items() if key not in ("defaults", "tasks")
    }
    checked: dict[str, Any] = dict(values)
    if (tasks := root.value.get("tasks")) is not None:
        # each entry is checked when it is expanded; here only its presence matters
        checked["tasks"] = [{}] if isinstance(tasks.value, list) and tasks.value else plain(tasks)
    wrong = _check("manifest", source, root, checked, report)
    if "images" not in wrong and not _is_sendable(values.get("images")):
        place = source.place(*place_of(root, ("images", "max_bytes")))
        report.add(place, "`images.max_bytes` must be from 1MB to 30MB", "write 8MB, or delete it")
        wrong.add("images")
    run = values.get("run")
    for fault in chain(beyond(run), impossible_hours(run)) if isinstance(run, dict) else ():
        report.add(source.place(*place_of(root, fault.path)), fault.message, fault.hint)
        wrong.add("run")
    return {key: value for key, value in values.items() if key not in wrong}


def _is_sendable(images: Any) -> bool:
    """Whether `images.max_bytes` is neither above what may be sent nor below the smallest picture."""
    most = load_limits().inputs.most_bytes["image"]
    return not images or 1_000_000 <= size(images.get("max_bytes", most)) <= most


def _check(part: Part, source: Source, node: Node, value: object, report: Report) -> set[str | int]:
    """Report the faults of one part of the manifest, and return the keys they are in."""
    wrong = set()
    for fault in check(part, value):
        report.add(
            source.place(*place_of(node, fault.path, fault.on_key)), fault.message, fault.hint, fault.severity
        )
        wrong |= set(fault.path[:1])
    return wrong


class _Urls:
    """Collects each distinct input URL, with the place of its first use."""

    def __init__(self) -> None:
        self._uses: dict[str, UrlUse] = {}

    def add(self, one: Expanded) -> None:
        """Add the URLs of a task."""
        metadata = one.request.get("metadata")
        for path, kind, value in located(one.request, metadata if isinstance(metadata, dict) else {}):
            is_url = isinstance(value, str) and value[:6].lower().startswith(("http:", "https:"))
            if isinstance(value, str) and is_url and value not in self._uses:
                self._uses[value] = UrlUse(value, kind, one.entry.place(path, one.at))

    def all(self) -> tuple[UrlUse, ...]:
        """All of them, in the order of their first use."""
        return tuple(self._uses.values())


def _refuse_unpriced(
    tasks: PlanStore, figures: Limits, prices: Pricing, place: Place, report: Report
) -> None:
    if model := unpriced(tasks.requests(), figures, prices):
        hint = "add its price to `pricing.per_million_tokens`, or limit `budget.tokens`"
        report.add(place, f"`budget.cost` can't be enforced: no price for {printable(model)}", hint)
