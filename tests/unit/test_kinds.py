"""What makes two tasks one kind."""

from __future__ import annotations

from typing import Any

import pytest

from batchrunner.core.kinds import Kind, kind_of
from batchrunner.core.request import normalise


@pytest.mark.parametrize(
    ("request_", "shape"),
    [
        ({"prompt": "a"}, "5 s"),
        (
            {"prompt": "a", "duration": 8, "metadata": {"resolution": "720p", "ratio": "1:1"}},
            "720p, 1:1, 8 s",
        ),
        ({"prompt": "a", "metadata": {"duration": -1}}, "any length"),
        ({"prompt": "a", "metadata": {"frames": 57}}, "57 frames"),
        ({"prompt": "a", "image": "https://a.org/a.png"}, "5 s, image"),
        (
            {
                "metadata": {
                    "content": [
                        {"type": "image_url", "role": "last_frame", "image_url": {"url": "https://a.org/b"}},
                        {"type": "image_url", "role": "first_frame", "image_url": {"url": "https://a.org/a"}},
                        {"type": "text", "text": "a"},
                    ]
                }
            },
            "5 s, first_frame + last_frame",
        ),
        ({"metadata": {"content": [{"type": "video_url", "video_url": {"url": "x"}}]}}, "5 s, video_url"),
    ],
)
def test_model_resolution_ratio_length_and_inputs_make_a_kind(request_: dict[str, Any], shape: str) -> None:
    """Prompt and seed do not."""
    assert kind_of(normalise({"model": "fast", **request_})) == Kind("fast", shape)
    assert str(Kind("fast", shape)) == f"fast, {shape}"
