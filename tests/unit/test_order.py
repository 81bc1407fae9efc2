"""Files come in the order that people expect."""

import random

import pytest

from batchrunner.manifest.order import natural_key


@pytest.mark.parametrize(
    "ordered",
    [
        ["1.png", "2.png", "10.png", "100.png"],
        ["shot.png", "shot1.png", "shot2.png", "shot10.png", "shot10b.png"],
        ["a/2.png", "a/10.png", "b/1.png"],
        ["2/9.png", "10/1.png"],
        ["a.png", "B.png", "c.png", "D.png"],
        ["e.png", "é.png", "f.png"],
        ["v1.2.png", "v1.10.png"],
        ["图2.png", "图10.png", "图\uff11\uff12.png"],
        ["A.png", "a.png"],
        ["01.png", "1.png", "001x.png", "1x.png"],
        ["e\u0301.png", "é.png"],
        ["1.png", "-1.png", "_1.png", "a.png"],
        ["1" * 250 + ".png", "2" * 250 + ".png"],
        ["a.jpg", "a.png"],
    ],
)
def test_names_come_in_natural_order(ordered: list[str]) -> None:
    """Numbers by their size, letters whatever their case; the same in whatever order they were found."""
    for seed in range(20):
        mixed = random.Random(seed).sample(ordered, len(ordered))
        assert sorted(mixed, key=natural_key) == ordered
