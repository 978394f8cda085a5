"""A lock on an SQLite database, held by another process."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOLDER = Path(__file__).with_name("lock_holder.py")


@contextmanager
def locked(database: Path, seconds: float) -> Iterator["subprocess.Popen[str]"]:
    """The lock is held when the block begins, and for so many seconds; at its end it is given up."""
    command = [sys.executable, str(HOLDER), str(database), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
        yield holder
        holder.kill()
