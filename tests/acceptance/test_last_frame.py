"""`return_last_frame`: the picture of the last frame, beside its video."""

from pathlib import Path
from typing import Any


def test_the_last_frame_lies_beside_the_video(desk: Any, sim: Any) -> None:
    """`return_last_frame` brings a picture, named in the row, and asks for it without the key."""
    sim.start()
    desk.write({"id": "ant", "prompt": "ant digs", "metadata": {"return_last_frame": True}}, "bee")
    assert desk.run().code == 0
    name = desk.row("ant")["last_frame_file"]
    assert name == "videos/ant-last-frame.jpg"
    assert Path(desk.directory, name).read_bytes().startswith(b"\xff\xd8\xff")
    assert desk.row("bee")["last_frame_file"] == ""
    assert not sim.requests()["GET file server with Authorization"]


def test_a_picture_that_is_not_ours_is_not_taken_for_the_last_frame(desk: Any, sim: Any) -> None:
    """Another file has the name: it stays, the video counts, and the row says that its picture is missing."""
    sim.start()
    desk.write({"id": "ant", "prompt": "ant walks", "metadata": {"return_last_frame": True}})
    (desk.directory / "videos").mkdir(parents=True)
    mine = desk.directory / "videos" / "ant-last-frame.jpg"
    mine.write_text("mine")
    assert desk.run().code == 0
    assert mine.read_text() == "mine"
    row = desk.row("ant")
    assert (row["state"], row["last_frame_file"]) == ("done", "")
    assert "another picture" in row["warnings"]
