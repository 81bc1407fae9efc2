"""`write_csv.py FILE ROWS`: write as many rows as wide as those of results.csv."""

import csv
import os
import sys
from pathlib import Path

COLUMNS = 30


def main(path: Path, rows: int) -> None:
    """Write the file durably."""
    row = ["some text of a usual length"[: 5 + column] for column in range(COLUMNS)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for number in range(rows):
            row[0] = f"t{number}"
            writer.writerow(row)
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
