"""`hashing.py MB`: hash so many megabytes with SHA-256 in one thread; print MB a second of CPU time."""

import hashlib
import os
import sys
import time


def rate(megabytes: int) -> float:
    """Hash a random megabyte so often; return MB a second."""
    data, sha256 = os.urandom(1 << 20), hashlib.sha256()
    began = time.process_time()
    for _ in range(megabytes):
        sha256.update(data)
    return megabytes / (time.process_time() - began)


if __name__ == "__main__":
    sys.stdout.write(str(rate(int(sys.argv[1]))))
