"""What a run may submit, and what is sent for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from batchrunner.core.model import MediaFile, PlannedTask, Request, TaskKey, TaskOutput
from batchrunner.core.object_url import is_object_url
from batchrunner.core.policy import UNSENDABLE
from batchrunner.core.request import has_inputs
from batchrunner.core.rules.inputs import located
from batchrunner.core.task_outputs import replaced
from batchrunner.engine.stored_inputs import StoredInputs
from batchrunner.engine.task_outputs import OutputMissing, TaskOutputs
from batchrunner.gateway import RequestBody, encode
from batchrunner.media.local_files import MediaChanged, data_uri

_LAST_FRAME = "return_last_frame"
_LOOK = 0.2
"""Real seconds between looks whether the run ends while inputs are read."""


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
        stored: StoredInputs,
        frames_needed: frozenset[TaskKey],
        is_closing: Callable[[], bool],
    ) -> None:
        """`find` returns a task if this run may submit it; others need the last frames of `frames_needed`.

        Once `is_closing`, nothing is waited for.
        """
        self._is_closing = is_closing
        self.find, self._outputs, self._stored = find, outputs, stored
        self._frames_needed = frames_needed

    async def body(self, task: PlannedTask) -> RequestBody | None:
        """The bytes to send for a task, without its seed; None if the run ends before they are complete.

        Raises:
            Unsendable: an input has changed, or what the task needs of another one can't be had.
            StorageError: the place of an input can't be read.
        """
        request = task.request
        if task.key in self._frames_needed:
            request = _with_last_frame(request)
        if not has_inputs(request):
            return encode(request, _none)
        completing = asyncio.create_task(self._with_inputs(request), name="read inputs")
        try:
            while not (await asyncio.wait({completing}, timeout=_LOOK))[0]:
                if self._is_closing():
                    return None
            return completing.result()
        except MediaChanged as error:
            raise Unsendable(str(error), UNSENDABLE) from error
        except OutputMissing as error:
            raise Unsendable(str(error), error.code) from error
        finally:
            completing.cancel()

    async def _with_inputs(self, request: Request) -> RequestBody:
        made, read = dict[TaskOutput, str](), dict[MediaFile, bytes]()
        for path, _, value in located(request, _metadata(request)):
            if isinstance(value, TaskOutput):
                made[value] = await self._outputs.address(value)
            elif isinstance(value, MediaFile) and not value.is_picture:
                request = replaced(request, path, await self._stored.link_to_file(value))
            elif isinstance(value, MediaFile) and is_object_url(value.path):
                read[value] = await self._stored.content(value)
            elif isinstance(value, str) and is_object_url(value):
                request = replaced(request, path, await self._stored.link(value))
        # Local files must be read, and inputs may be large.
        return await asyncio.to_thread(encode, request, partial(_address, made, read))


def _with_last_frame(request: Request) -> Request:
    """The request with the wish for a picture of the last frame, unless the user has decided about it."""
    return {**request, "metadata": {_LAST_FRAME: True, **_metadata(request)}}


def _metadata(request: Request) -> Request:
    metadata = request.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _address(
    made: Mapping[TaskOutput, str], read: Mapping[MediaFile, bytes], value: MediaFile | TaskOutput
) -> str:
    return made[value] if isinstance(value, TaskOutput) else data_uri(value, read.get(value))


def _none(value: MediaFile | TaskOutput) -> str:
    raise AssertionError(f"{value.shown} is not an input")
