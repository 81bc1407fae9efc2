"""Collects the problems of a manifest while it is read, each only once."""

from __future__ import annotations

from batchrunner.core.problems import Place, Problem, Severity
from batchrunner.core.text import visible
from batchrunner.manifest.nodes import Path


class Report:
    """The problems found so far, without duplicates."""

    def __init__(self) -> None:
        self._problems: dict[tuple[Place, str], Problem] = {}
        self._files: dict[str, int] = {}
        self.has_errors = False
        """Whether there are errors."""
        self.paths: dict[Problem, Path] = {}
        """The field of a task that a problem is about, where it is about one."""

    def add(
        self,
        place: Place,
        message: str,
        hint: str = "",
        severity: Severity = Severity.ERROR,
        path: Path = (),
    ) -> None:
        """Add a problem, about the field at `path` of a task if it is about one.

        Invisible characters in its text are escaped, such as `\\u200b`.
        """
        message, hint = visible(message), visible(hint)
        self._files.setdefault(place.file, len(self._files))
        kept = self._problems.setdefault((place, message), Problem(severity, place, message, hint))
        self.has_errors |= kept.severity is Severity.ERROR
        if path:
            self.paths.setdefault(kept, path)

    def begin(self, file: str) -> None:
        """Note that `file` is read next: problems are sorted by file in the order of these calls."""
        self._files.setdefault(file, len(self._files))

    def problems(self) -> tuple[Problem, ...]:
        """All problems: errors before warnings, each in file order."""

        def order(problem: Problem) -> tuple[bool, int, int, int, int]:
            place, is_warning = problem.place, problem.severity is Severity.WARNING
            return is_warning, self._files[place.file], place.row, place.line, place.column

        return tuple(sorted(self._problems.values(), key=order))
