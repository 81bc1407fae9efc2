"""The folder of one case: a fixed manifest, its gateway, and a story of what was done there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image

from tests.harness.fork_server import ForkServer
from tests.harness.gateway import SimulatedGateway
from tests.harness.run_directory import Row
from tests.harness.workspace import ALONG, DEFAULTS, Workspace

TASKS: Mapping[str, Mapping[str, Any]] = {
    "ant": {},
    "bee": {"metadata": {"return_last_frame": True}},
    "cat": {"image": "cat.png"},
}
"""The small run: an ordinary task, one with a picture of its last frame, one with a picture of its own."""
MORE_TASKS: Mapping[str, Mapping[str, Any]] = {**TASKS, "dog": {}, "elk": {}}
CHAIN: Mapping[str, Mapping[str, Any]] = {
    "cat": {
        "metadata": {
            "content": [
                {"type": "image_url", "role": "reference_image", "image_url": {"url": "task:bee/last_frame"}},
                {"type": "video_url", "role": "reference_video", "video_url": {"url": "task:ant/video"}},
            ]
        }
    },
    "ant": {},
    "bee": {"image": "task:ant/last_frame"},
}
"""The small run as a chain: one task begins with the last frame of another, and one needs both of them."""
MORE_CHAINS: Mapping[str, Mapping[str, Any]] = {"elk": {}, **CHAIN, "dog": {"image": "task:ant/last_frame"}}
"""And with a branch, beside a task that needs nobody."""


class CaseFolder(Workspace):
    """Where a case takes place; `story.txt` says what was done, for a case that fails."""

    defaults: Mapping[str, Any] = {**DEFAULTS, "metadata": {"resolution": "480p", "ratio": "adaptive"}}
    may_crash = True

    def __init__(
        self,
        folder: Path,
        fork_server: ForkServer,
        gateway: SimulatedGateway,
        tasks: Mapping[str, Mapping[str, Any]],
        budget: Mapping[str, Any] = MappingProxyType({}),
        storage: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`storage` are the variables by which the bucket is found in which the videos are stored.

        This bucket is the folder itself: each object is the file that it would be without a bucket.
        """
        super().__init__(folder, fork_server)
        self.budget = budget
        self.environment |= storage
        self._place = {"videos": f"s3://{folder.name}/{self.directory.name}"} if storage else {}
        self.gateway: SimulatedGateway = gateway
        self.tasks = tasks
        self._write_manifest()
        Image.linear_gradient("L").resize((400, 300)).convert("RGB").save(folder / "cat.png")

    def lift_budget(self) -> None:
        """Delete the budget from the manifest, so that the rest is made, too."""
        self.note(f"without the budget of {self.budget} from here on")
        self.budget = {}
        self._write_manifest()

    def _write_manifest(self) -> None:
        self.sections = {"budget": self.budget} if self.budget else {}
        entries = [{"id": name, "prompt": f"{name} {ALONG}", **extra} for name, extra in self.tasks.items()]
        self.write(*entries, concurrency=3, disk_reserve="1MB", submit_timeout=2, **self._place)

    def note(self, text: str) -> None:
        """Add a line to the story."""
        with (self.folder / "story.txt").open("a", encoding="utf-8") as story:
            story.write(f"{time.strftime('%H:%M:%S')}  {text}\n")

    def rows(self) -> list[Row]:
        """results.csv; empty where there is none yet."""
        return super().rows() if (self.directory / "results.csv").exists() else []
