"""`downloads.py URL FILES AT_ONCE FOLDER`: download a video so often, durably; print files a second."""

import asyncio
import os
import sys
import time
from pathlib import Path

import aiohttp


async def main(url: str, files: int, at_once: int, folder: Path) -> float:
    """Download `at_once` files at a time; return how many a second."""
    numbers = iter(range(files))
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def work() -> None:
            for number in numbers:
                async with session.get(url) as answer:
                    body = await answer.read()
                await asyncio.to_thread(keep, folder / f"{number}.mp4", body)

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(at_once)))
        return files / (time.perf_counter() - began)


def keep(path: Path, body: bytes) -> None:
    """Write a file durably."""
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    at, files, at_once, folder = sys.argv[1:]
    Path(folder).mkdir()
    sys.stdout.write(str(asyncio.run(main(at, int(files), int(at_once), Path(folder)))))
