"""Dagster's daemon, which kills itself once at a point of a sensor's tick if the environment says so."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from dagster._daemon import sensor as sensor_daemon
from dagster._daemon.cli import main

MARKER = Path(os.environ["DAGSTER_HOME"], "crashed")
SENSOR, POINT = os.environ.get("CRASH_SENSOR", ""), os.environ.get("CRASH_POINT", "")


def kill_at(flags: Any, point: str) -> None:
    """What Dagster calls at each point of a tick; `flags` are those of the sensor whose tick it is."""
    if flags is not None and point == POINT and not MARKER.exists():
        MARKER.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def with_flags(*args: Any, **kwargs: Any) -> Any:
    """Dagster's own iteration over sensors, told which of them to crash for."""
    return _iteration(*args, **{**kwargs, "debug_crash_flags": {SENSOR: {"any": signal.SIGKILL}}})


if POINT:
    _iteration = sensor_daemon.execute_sensor_iteration
    sensor_daemon.execute_sensor_iteration = with_flags
    sensor_daemon.check_for_debug_crash = kill_at

if __name__ == "__main__":
    sys.exit(main())
