"""Tries a draft: what its source does not support becomes a comment, with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from batchrunner.core.errors import ManifestError
from batchrunner.core.problems import Problem, Severity
from batchrunner.core.text import cut
from batchrunner.manifest.drafts.text import Draft, DraftField
from batchrunner.manifest.loader import load_source
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.source import Source

_WIDTH = 160
"""The longest reason in a comment, in columns."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What `validate` would say about a text."""

    tasks: int
    """0 if there are errors."""
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop a run."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)


def check_text(path: Path, text: str) -> Trial:
    """Check a manifest that is not written yet, as if it were in the file `path`."""
    report = Report()
    report.begin(str(path))
    try:
        loaded = load_source(path, Source(str(path), text, is_yaml=True), report)
    except ManifestError as error:
        return Trial(0, error.problems)
    return Trial(len(loaded.plan.tasks), loaded.warnings)


def tried(drafts: Iterable[Draft], path: Path, manifest: str, name: str) -> tuple[Draft, Trial]:
    """The first draft without errors, else the one with the fewest, less the fields that cause some.

    `manifest` and `name` are as for `Draft.text`.
    """

    def check(draft: Draft) -> Trial:
        return check_text(path, draft.text(manifest, name))

    found: list[tuple[Draft, Trial]] = []
    for draft in drafts:
        trial = check(draft)
        if not trial.errors:
            return draft, trial
        found.append((draft, trial))
    draft, trial = min(found, key=lambda one: len(one[1].errors))
    if not draft.fields:
        return draft, trial
    bare = check(_with_only(draft, ()))
    wrong: dict[DraftField, str] = {}
    for field in draft.fields:
        alone = check(_with_only(draft, (field,)))
        if len(alone.errors) > len(bare.errors):
            known = {problem.message for problem in bare.errors}
            problem = next((one for one in alone.errors if one.message not in known), alone.errors[0])
            wrong[field] = cut(f"{problem.place}: {problem.message}", _WIDTH)
    fields = (replace(field, doubt=wrong.get(field, "")) for field in draft.fields)
    draft = replace(draft, fields=tuple(fields))
    return draft, check(draft)


def _with_only(draft: Draft, kept: tuple[DraftField, ...]) -> Draft:
    fields = (field if field in kept else replace(field, doubt="left out") for field in draft.fields)
    return replace(draft, fields=tuple(fields))
