"""What a run may submit, and what is sent for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from batchrunner.core.model import MediaFile, PlannedTask, Request, TaskKey, TaskOutput
from batchrunner.core.policy import UNSENDABLE
from batchrunner.core.request import has_inputs
from batchrunner.core.task_outputs import outputs_in
from batchrunner.engine.task_outputs import OutputMissing, TaskOutputs
from batchrunner.gateway import RequestBody, encode
from batchrunner.media.local_files import MediaChanged, data_uri

_LAST_FRAME = "return_last_frame"


class Unsendable(Exception):
    """A request can't be built; the message says why, and `code` is for the ledger."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Requests:
    """The tasks of a run and their requests."""

    def __init__(
        self,
        find: Callable[[TaskKey], PlannedTask | None],
        outputs: TaskOutputs,
        frames_needed: frozenset[TaskKey],
    ) -> None:
        """`find` returns a task if this run may submit it; others need the last frames of `frames_needed`."""
        self.find, self._outputs, self._frames_needed = find, outputs, frames_needed

    async def body(self, task: PlannedTask) -> RequestBody:
        """The bytes to send for a task, without its seed.

        Raises:
            Unsendable: a local file has changed, or what the task needs of another one can't be had.
        """
        request = task.request
        if task.key in self._frames_needed:
            request = _with_last_frame(request)
        if not has_inputs(request):
            return encode(request, _none)
        try:
            made = {output: await self._outputs.address(output) for _, output in outputs_in(request)}
            # Local files must be read, and inputs may be large.
            return await asyncio.to_thread(encode, request, partial(_address, made))
        except MediaChanged as error:
            raise Unsendable(str(error), UNSENDABLE) from error
        except OutputMissing as error:
            raise Unsendable(str(error), error.code) from error


def _with_last_frame(request: Request) -> Request:
    """The request with the wish for a picture of the last frame, unless the user has decided about it."""
    metadata = request.get("metadata")
    below = dict(metadata) if isinstance(metadata, Mapping) else {}
    return {**request, "metadata": {_LAST_FRAME: True, **below}}


def _address(made: Mapping[TaskOutput, str], value: MediaFile | TaskOutput) -> str:
    return made[value] if isinstance(value, TaskOutput) else data_uri(value)


def _none(value: MediaFile | TaskOutput) -> str:
    raise AssertionError(f"{value.shown} is not an input")
