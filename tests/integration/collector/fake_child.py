"""A process that speaks like the one that uses a cluster: `fake_child.py BEHAVIOUR LOG`.

What it was started with, and what it gets, is appended to LOG.
"""

import hashlib
import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

from batchrunner.cluster.fetching import fetch_line


def left(setup: dict[str, Any], message: dict[str, Any]) -> str:
    """Download a video to a part file, as a worker does; return the answer."""
    wanted = message["request"]
    folder = Path(setup["directory"]) / "videos"
    assert (folder / setup["probe"]).read_text() == setup["probe"]
    with urllib.request.urlopen(wanted["link"]) as response:
        data = response.read()
    part = folder / f".{Path(wanted['identity']['name']).stem}.{message['number']:08x}.part"
    part.write_bytes(data)
    facts = {"duration": 1.0, "width": 64, "height": 48, "fps": 24.0}
    values = {"part": part.name, "facts": facts, "sha256": hashlib.sha256(data).hexdigest()}
    return json.dumps({"number": message["number"], "left": values | {"size": len(data)}})


def pictured(setup: dict[str, Any], line: str, behaviour: str) -> str:
    """Save a picture, as a worker does; return the answer."""
    answer = fetch_line(json.dumps(setup), line)
    return answer.replace("videos/", "videos/../") if behaviour == "outside" else answer


def say(line: str) -> None:
    """Send a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(behaviour: str, log: Path) -> None:
    """Answer requests in one way or another until stdin closes."""
    starts = log.read_text().count('"cluster"') if log.exists() else 0
    with log.open("a") as record:
        record.write(f"{dict(os.environ)} {sys.argv}\n")
        setup: dict[str, Any] = {}
        for line in sys.stdin:
            record.write(line)
            record.flush()
            message = json.loads(line)
            if not setup:
                setup = message
            elif behaviour == "dies" or (behaviour == "dies once" and starts == 0):
                sys.exit(1)
            elif behaviour == "garbage":
                say("Traceback (most recent call last):")
            elif behaviour == "another shape":
                say(json.dumps({"number": message["number"], "left": {"part": 7}}))
            elif behaviour == "no":
                why = {"why": "no worker is free"}
                say(json.dumps({"number": message["number"], "not_here": why}))
            elif "stem" in message["request"] and behaviour != "hangs":
                say(pictured(setup, line, behaviour))
            elif behaviour == "outside":
                answer = json.loads(left(setup, message))
                answer["left"]["part"] = "../../elsewhere.12345678.part"
                say(json.dumps(answer))
            elif behaviour == "cut":
                answer = json.loads(left(setup, message))
                part = Path(setup["directory"]) / "videos" / answer["left"]["part"]
                part.write_bytes(part.read_bytes()[:-1])
                say(json.dumps(answer))
            elif behaviour != "hangs":
                answer = left(setup, message)
                for _ in range(2 if behaviour == "twice" else 1):
                    say(answer)


main(sys.argv[1], Path(sys.argv[2]))
