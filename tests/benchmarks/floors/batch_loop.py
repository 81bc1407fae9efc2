"""`batch_loop.py URL TASKS SLOTS SCALE FOLDER [LEDGER]`: the calls of a run in a bare loop.

Each POST has a new connection, polls and downloads share theirs, and each video is written to a file. With
LEDGER, it also does what a run promises, in the plainest way: see `promises.py`.
"""

import asyncio
import sys
from pathlib import Path

import aiohttp
from promises import STATES, Changes, keep

FIRST_POLL, NEXT_POLL = 20, 15  # nominal seconds
SETTINGS = {"model": "dreamina-seedance-2-0-fast", "duration": 4, "seconds": "4"}
HEADERS = {"Authorization": "Bearer sk-benchmark-1234567890"}


async def main(url: str, tasks: int, slots: int, scale: float, folder: Path, ledger: Path | None) -> None:
    """Make so many videos, `slots` at a time."""
    numbers = iter(range(tasks))
    changes = Changes(ledger, tasks) if ledger else None
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with (
        aiohttp.ClientSession(url, headers=HEADERS, connector=connector) as submitting,
        aiohttp.ClientSession(url, headers=HEADERS) as asking,
    ):

        async def work() -> None:
            for number in numbers:
                await make(submitting, asking, number, scale, folder, changes)

        await asyncio.gather(*(work() for _ in range(slots)))
    if changes:
        changes.close()


async def make(
    submitting: aiohttp.ClientSession,
    asking: aiohttp.ClientSession,
    number: int,
    scale: float,
    folder: Path,
    changes: Changes | None,
) -> None:
    """Submit a task, poll it until it has ended, and download its video."""
    metadata = {"resolution": "480p", "ratio": "16:9", "duration": 4, "seed": number}
    body = SETTINGS | {"prompt": f"a thing {number} walks along the shore at dusk", "metadata": metadata}
    states = iter(STATES)
    if changes:
        await changes.durable(number, next(states))
    async with submitting.post("/v1/video/generations", json=body) as answer:
        remote_id = (await answer.json())["task_id"]
    if changes:
        await changes.durable(number, next(states))
    wait = FIRST_POLL
    status = ""
    while status != "SUCCESS":
        await asyncio.sleep(wait * scale)
        wait = NEXT_POLL
        async with asking.get(f"/v1/video/generations/{remote_id}") as answer:
            status = (await answer.json())["data"]["status"]
    if changes:
        await changes.durable(number, next(states))
    async with asking.get(f"/v1/videos/{remote_id}/content") as answer:
        content = await answer.read()
    if changes:
        await asyncio.to_thread(keep, folder / f"{number}.mp4", content)
        await changes.durable(number, next(states))
    else:
        (folder / f"{number}.mp4").write_bytes(content)


if __name__ == "__main__":
    at, tasks, slots, scale, folder, *ledger = sys.argv[1:]
    Path(folder).mkdir()
    to = Path(ledger[0]) if ledger else None
    asyncio.run(main(at, int(tasks), int(slots), float(scale), Path(folder), to))
