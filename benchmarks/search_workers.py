"""A search of 64 trials on two Dask workers, each a process of its own, against one: seconds, ratio, equal winner.

`python benchmarks/search_workers.py` takes a minute or two on two quiet cores. It starts a scheduler and its workers on
loopback, and ends them. With `--kill` one of the two workers is killed in the middle of a further search.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TRIALS, ROWS, FEATURES = 64, 20_000, 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kill", action="store_true", help="also kill a worker in the middle of a search")
    parser.add_argument("--trials", type=int, default=TRIALS)
    asked = parser.parse_args()
    searched = Searched(asked.trials)
    with cluster(1) as (url, _):
        one = searched.on(url, "one Dask worker")
    with cluster(2) as (url, workers):
        two = searched.on(url, "two Dask workers")
        print(f"ratio                     {one[0] / two[0]:8.2f}")
        found = [one, two]
        if asked.kill:
            found.append(searched.on(url, "two, one killed midway", kill=workers[0]))
    equal = all(result == one[1] for _, result in found)
    print(f"equal trials and winner   {'yes' if equal else 'NO'}")
    return 0 if equal else 1


class Searched:
    """One search, to be made in several places."""

    def __init__(self, trials: int) -> None:
        import numpy as np
        import pandas as pd

        from mlops_assets.modelling.fitting.estimators import build
        from mlops_assets.modelling.splits import time_folds

        random = np.random.default_rng(0)
        self.trials = trials
        self.X = pd.DataFrame(random.normal(size=(ROWS, FEATURES)), columns=[f"f{n}" for n in range(FEATURES)])
        self.y = self.X["f0"] + self.X["f1"] * self.X["f2"] + pd.Series(random.normal(size=ROWS))
        self.folds = time_folds(np.repeat(np.arange(8), ROWS // 8), 3)
        self.model = build("sklearn.ensemble.HistGradientBoostingRegressor", {}, self.X, "regression", 0)

    def on(self, url: str, name: str, kill: subprocess.Popen[bytes] | None = None) -> tuple[float, Any]:
        """Search on a scheduler; return the seconds, and what must be equal everywhere."""
        from mlops_assets.modelling.fitting.search import search
        from mlops_assets.resources import Compute

        ended: list[int] = []

        def progress(trial: Any) -> None:
            ended.append(trial.number)
            if kill is not None and len(ended) == self.trials // 2:
                kill.kill()

        space = {
            "learning_rate": {"low": 0.02, "high": 0.5, "log": True},
            "max_iter": {"low": 20, "high": 60},
            "max_leaf_nodes": [15, 31, 63],
        }
        options = (self.model, self.X, self.y, self.folds, space, "random", self.trials, "rmse", 0)
        with Compute(scheduler=url, fallback=False).engine(-1, print) as engine:
            list(engine.each(warm, None, range(4)))  # imports, which a worker does once
            begin = time.perf_counter()
            result = search(*options, progress=progress, engine=engine)
            seconds = time.perf_counter() - begin
        print(f"{name:25} {seconds:8.1f} s   best {result.params}")
        return seconds, ([(trial.params, repr(trial.score), trial.error) for trial in result.trials], result.params)


def warm(shared: None, task: int) -> None:
    """Import what a trial needs."""
    import sklearn.ensemble  # noqa: F401

    time.sleep(0.5)


@contextmanager
def cluster(workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler with workers of one thread each; yield its address and the workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"tcp://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:

        def start(program: str, *options: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", f"distributed.cli.{program}", *options, "--no-dashboard"]
            path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            return subprocess.Popen(command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, **quiet)

        processes = [start("dask_scheduler", "--host", "127.0.0.1", "--port", str(port))]
        try:
            for _ in range(workers):
                processes.append(start("dask_worker", url, "--nthreads", "1", "--no-nanny"))
            _all_there(url, workers)
            yield url, processes[1:]
        finally:
            for process in processes:
                process.kill()
                process.wait()


def _all_there(url: str, workers: int) -> None:
    from distributed import Client

    with Client(url, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=60)


if __name__ == "__main__":
    sys.exit(main())
