"""Links to finished videos and their last frames, on the file server. Pure."""

from typing import Any, NamedTuple
from urllib.parse import urlsplit

from batchrunner.simulator.rendering import signature
from batchrunner.simulator.tasks import Task, Tasks
from batchrunner.simulator.video_model import told


class FileLink(NamedTuple):
    """A link that the file server has issued; it may have expired."""

    task: Task
    is_last_frame: bool


class BadLink(Exception):
    """Raised for a link that can't be read; carries the file server's answer."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


def resolve(tasks: Tasks, path: str, query: str) -> FileLink:
    """The file that a link's path and query name; raises BadLink if there is none, or it is not signed."""
    folder, _, name = path.strip("/").rpartition("/")
    identity, _, kind = name.rpartition(".")
    task = tasks.find_upstream(identity)
    if folder != "files" or task is None:
        raise BadLink(404, "NoSuchKey")
    if query != signature(task.charge):
        raise BadLink(403, "SignatureDoesNotMatch")
    return FileLink(task, kind == "jpeg")


def check_life(task: Task, at: float) -> None:
    """Raise BadLink if a task's links don't work at Unix time `at`."""
    if task.phase.status != "SUCCESS" or told(task.charge.prompt) == "gone" or at >= task.link_expires_at:
        raise BadLink(403, "AccessDenied")


def issued(tasks: Tasks, url: Any) -> FileLink | None:
    """The file behind a URL in a request if the file server has issued it, even if it has expired since."""
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        return resolve(tasks, parts.path, parts.query)
    except (ValueError, BadLink):
        return None
