"""Writing files so that a reader finds the old content or the new, and never half of it."""

import os
from pathlib import Path


def replace(path: str | Path, content: bytes) -> Path:
    """Write a file so that at every instant, also of a power cut, its name has the old or the new.

    Missing folders are made. The name of the temporary file is fixed: what a kill leaves of it, the
    next writing overwrites.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)  # after a failure; on a full disk, it is in the way
    if hasattr(os, "O_DIRECTORY"):  # not on Windows: the new name itself survives a power cut
        directory = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    return path
