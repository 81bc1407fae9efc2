"""What the tasks of a plan need of each other: finds it in requests, and puts it there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from batchrunner.core.content import Content, RequestForm
from batchrunner.core.model import Request, TaskKey, TaskOutput
from batchrunner.core.rules.inputs import ValuePath, located


def outputs_in(request: Request) -> Iterator[tuple[ValuePath, TaskOutput]]:
    """The outputs of other tasks among a request's inputs, each with its path."""
    metadata = request.get("metadata")
    for path, _, value in located(request, metadata if isinstance(metadata, Mapping) else {}):
        if isinstance(value, TaskOutput):
            yield path, value


def with_outputs(form: RequestForm, outputs: Mapping[ValuePath, TaskOutput]) -> RequestForm:
    """The form with these outputs at these paths."""
    request: Any = form.request(None, None)
    for path, output in outputs.items():
        request = replaced(request, path, output)
    return RequestForm(request)


def with_keys(content: Content, keys: Mapping[TaskKey, TaskKey]) -> Content:
    """The content with the outputs of other tasks than before: those whose keys are the values of `keys`."""
    outputs = {
        path: replace(output, task=keys[output.task])
        for path, output in outputs_in(content.form.request(None, None))
        if output.task in keys
    }
    return content._replace(form=with_outputs(content.form, outputs))


def replaced(value: Any, path: ValuePath, by: TaskOutput | str) -> Any:
    """A copy of the value with another one at this path; what is not on the path is shared."""
    if not path:
        return by
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy
