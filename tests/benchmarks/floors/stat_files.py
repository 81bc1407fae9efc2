"""`stat_files.py ROWS VIDEOS`: parse and hash every row, and look at each row's file."""

import hashlib
import json
import sys
from pathlib import Path


def main(rows: Path, videos: Path) -> None:
    """Expand the plan again and check that nothing is missing."""
    with rows.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            hashlib.sha256(line.encode()).hexdigest()
            (videos / f"{row['id']}.mp4").stat()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
