"""Jobs that tell what process they are."""

import atexit
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import numpy as np

OUT = Path(os.environ["LAUNCHER_OUT"])


@dg.op
def tells(context: dg.OpExecutionContext) -> None:
    """Writes what a run can see of its process."""
    import sklearn.ensemble  # noqa: F401  OpenMP comes with it
    from joblib import Parallel, delayed
    from threadpoolctl import threadpool_info

    print("said by the run", flush=True)
    told = {
        "parent": os.getppid(),
        "folder": os.getcwd(),
        "path": sys.path[0],
        "told": os.environ.get("LAUNCHER_TOLD"),
        "telemetry": os.environ.get("MLFLOW_DISABLE_TELEMETRY"),
        "random": random.random(),
        "numpy": float(np.random.random()),
        "answer": (OUT / "answer").read_text() if (OUT / "answer").exists() else "",
        "code": ANSWER,
        "child": subprocess.run(["sh", "-c", "exit 3"]).returncode,
        "threads": sorted({(pool["user_api"], pool["num_threads"]) for pool in threadpool_info()}),
        "parallel": Parallel(n_jobs=2)(delayed(abs)(-n) for n in range(3)),
        "descriptors": sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if int(fd) < 3),
    }
    (OUT / context.run_id).write_text(json.dumps(told))
    atexit.register(lambda: (OUT / f"{context.run_id}.end").touch())


@dg.op
def waits(context: dg.OpExecutionContext) -> None:
    """Waits for a minute, or until it is ended."""
    (OUT / context.run_id).touch()
    for _ in range(600):
        time.sleep(0.1)


@dg.op
def marks(context: dg.OpExecutionContext) -> None:
    """Writes when it begins and when it ends."""
    with (OUT / f"{context.run_id}.marks").open("a", buffering=1) as file:
        file.write("begun ")
        file.flush()
        time.sleep(0.5)
        file.write("ended ")


@dg.op
def does_nothing() -> None:
    """Ends at once."""


def job_of(
    name: str, op: dg.OpDefinition, executor: dg.ExecutorDefinition = dg.in_process_executor
) -> dg.JobDefinition:
    """A job of one step."""

    @dg.job(name=name, executor_def=executor)
    def job() -> None:
        op()

    return job


ANSWER = (Path(__file__).parent / "answer.txt").read_text() if (Path(__file__).parent / "answer.txt").exists() else ""

IN_THE_PROCESS_OF_THE_RUN = {"telling": tells, "waiting": waits, "marking": marks, "nothing": does_nothing}

defs = dg.Definitions(
    jobs=[
        *(job_of(name, op) for name, op in IN_THE_PROCESS_OF_THE_RUN.items()),
        job_of("steps_apart", does_nothing, dg.multiprocess_executor),
    ]
)
