"""Tries a draft: what its source does not support becomes a comment, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from batchrunner.core.errors import ManifestError
from batchrunner.core.problems import Problem, Severity
from batchrunner.core.redaction import redacted
from batchrunner.core.text import cut
from batchrunner.manifest.drafts.text import Draft, DraftField
from batchrunner.manifest.loader import load_source
from batchrunner.manifest.nodes import Path as ValuePath
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.source import Source
from batchrunner.media.objects import OpenObjects

MOST_CHECKED = 10_000
"""Rows that are checked: `plan`, which comes next, checks all of them anyway."""
_WIDTH = 160
"""The longest reason in a comment, in columns."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What `validate` would say about a text."""

    tasks: int
    """0 if there are errors."""
    problems: tuple[Problem, ...]
    paths: Mapping[Problem, ValuePath] = field(default_factory=dict, compare=False)
    """The field of a task that a problem is about, where it is about one."""
    unchecked: int = 0
    """How many of the tasks were not checked."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop a run."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)


def check_text(path: Path, text: str, rows: int = 0, objects: OpenObjects | None = None) -> Trial:
    """Check a manifest that is not written yet, as if it were in the file `path`.

    `rows` is how many rows its file has, if it is made from one: only the first are checked. `objects` opens
    its inputs in buckets.
    """
    report = Report()
    report.begin(str(path))
    try:
        source = Source(str(path), text, is_yaml=True)
        loaded = load_source(path, source, report, most=MOST_CHECKED if rows else None, objects=objects)
    except ManifestError as error:
        return Trial(0, error.problems, report.paths)
    unchecked = max(0, rows - MOST_CHECKED)
    return Trial(len(loaded.plan.tasks) + unchecked, loaded.warnings, report.paths, unchecked)


def tried(
    drafts: Iterable[Draft], path: Path, manifest: str, name: str, objects: OpenObjects | None = None
) -> tuple[Draft, Trial]:
    """The first draft without errors, else the one with the fewest, less the fields that have some.

    `manifest` and `name` are as for `Draft.text`; `objects` as for `check_text`.
    """

    def check(draft: Draft) -> Trial:
        return check_text(path, draft.text(manifest, name), draft.rows, objects)

    found: list[tuple[Draft, Trial]] = []
    for draft in drafts:
        trial = check(draft)
        if not trial.errors:
            return draft, trial
        found.append((draft, trial))
    draft, trial = min(found, key=lambda one: len(one[1].errors))
    # An error may hide others, such as those of the plan as a whole.
    while wrong := _wrong_fields(draft, trial):
        fields = (replace(one, doubt=wrong.get(one, one.doubt)) for one in draft.fields)
        draft = replace(draft, fields=tuple(fields))
        trial = check(draft)
    return draft, trial


def _wrong_fields(draft: Draft, trial: Trial) -> dict[DraftField, str]:
    """The fields in use that have errors, each with the first of them."""
    used = [one for one in draft.fields if not one.doubt]
    wrong: dict[DraftField, str] = {}
    for problem in trial.errors:
        path = trial.paths.get(problem, ())
        for one in used:
            if path[: len(one.path)] == one.path:
                wrong.setdefault(one, cut(redacted(f"{problem.place}: {problem.message}"), _WIDTH))
    return wrong
