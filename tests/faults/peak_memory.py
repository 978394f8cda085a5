"""Reads one file of a folder in a process of its own: `python peak_memory.py PATTERN BATCH [LIMITS as JSON]`.

Prints what reading said and by how many MB the peak of the process's memory grew while it read.
"""

import importlib
import json
import sys
from pathlib import Path

from mlops_assets import Folder, Limits
from mlops_assets.errors import SourceError


def peak() -> float:
    """The most memory that this process has ever held, in MB; `getrusage` would tell that of its parent."""
    held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(held.split()[1]) / 1024


if __name__ == "__main__":
    for module in ("pandas", "pyarrow.compute", "pyarrow.parquet"):  # what they take is not of the file
        importlib.import_module(module)

    pattern, batch, *limits = sys.argv[1:]
    source = Folder(pattern, limits=Limits(**(json.loads(limits[0]) if limits else {})))
    before, said = peak(), ""
    try:
        source.read(batch)
    except SourceError as error:
        said = str(error)
    print(json.dumps({"said": said, "grew": peak() - before}))
