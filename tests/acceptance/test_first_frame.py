"""A shot that begins with the last frame of another: the videos on disk show it."""

import base64
import hashlib
from typing import Any

from tests.harness.continuity import continues, ends, picture


def test_a_shot_begins_where_the_last_one_ended(desk: Any, sim: Any) -> None:
    """The picture that was sent is the one in the folder, and the next video begins with it."""
    sim.start()
    shots = [{"id": name, "prompt": f"{name} digs"} for name in ("ant", "bee", "cat")]
    desk.write(*(shot | {"metadata": {"return_last_frame": True}} for shot in shots[:2]))
    assert desk.run().code == 0
    frames = {name: desk.directory / desk.row(name)["last_frame_file"] for name in ("ant", "bee")}
    desk.write(shots[2] | {"image": str(frames["bee"])})
    assert desk.run().code == 0
    first = ends(desk.directory / desk.row("cat")["file_name"]).first
    assert [name for name, file in frames.items() if continues(picture(file), first)] == ["bee"]
    sent = b"data:image/jpeg;base64," + base64.b64encode(frames["bee"].read_bytes())
    (media,) = sim.charges()[-1]["media"]
    assert media["url"]["sha256"] == hashlib.sha256(sent).hexdigest()
