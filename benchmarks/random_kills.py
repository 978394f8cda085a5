"""Kills at random: `python benchmarks/random_kills.py --kills 300`.

Launches runs by `WarmRunLauncher` one after another, and kills the warm process or the process of the run with signal
9 at a random moment of launch, fork or step. Then every run must have an end on record or a process that the health
check calls dead; none may have been executed twice; each launch must have gone through. Prints what became of the
runs, and the violations.
"""

import argparse
import collections
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]
from mlops_assets.dagster_private import WorkerStatus  # noqa: E402
from mlops_assets.launcher.run_launcher import process_of  # noqa: E402
from support.launching import Launching  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    ends: collections.Counter[str] = collections.Counter()
    violations = []
    with tempfile.TemporaryDirectory(prefix="random_kills_") as place:
        launching = Launching(Path(place) / "home")
        launching.ended(launching.launch("marking"))
        for _ in range(asked.kills):
            of_warm = chance.random() < 0.3
            killer = threading.Timer(chance.uniform(0.0, 2.0), kill, [launching, of_warm])
            killer.start()
            try:
                run_id = launching.launch("marking")
            except Exception as error:  # whatever a launch raises breaks the promise
                violations.append(f"a launch failed: {error}")
                continue
            killer.join()
            end = end_of(launching, run_id)
            ends[f"{'warm process' if of_warm else 'run'} killed: {end}"] += 1
            file = launching.out / f"{run_id}.marks"
            marks = file.read_text() if file.exists() else ""
            if marks.count("begun") > 1 or end == "STUCK" or (end == "SUCCESS" and marks != "begun ended "):
                violations.append(f"{run_id}: {end}, {marks!r}")
        launching.close()
    for what, count in sorted(ends.items()):
        print(f"{count:4d}  {what}")
    print(f"violations: {len(violations)}", *violations, sep="\n")
    return 1 if violations else 0


def kill(launching: Launching, of_warm: bool) -> None:
    """Kill the warm process, or the process of the newest run if it has one."""
    pids = [state["pid"] for state in launching.warm()] if of_warm else []
    if not of_warm:
        process = process_of(launching.instance.get_runs(limit=1)[0])
        pids = [process.pid] if process is not None and process.is_alive else []
    for pid in pids:
        os.kill(pid, 9)


def end_of(launching: Launching, run_id: str) -> str:
    """Return the status of a run once it has ended, or DEAD once the health check says so."""
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        run = launching.instance.get_run_by_id(run_id)
        if run.is_finished:
            return run.status.name
        if launching.instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.FAILED:
            time.sleep(0.5)  # it may have ended in between
            run = launching.instance.get_run_by_id(run_id)
            return run.status.name if run.is_finished else "DEAD"
        time.sleep(0.1)
    return "STUCK"


if __name__ == "__main__":
    sys.exit(main())
