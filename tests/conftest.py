"""What all tests share: nothing is sent home, plots need no display, files go to memory where there is room."""

import os
import shutil

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["DO_NOT_TRACK"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

# Each event of a run is synced to disk, which takes half of the time of a test that runs a job.
if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 4e9:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")
