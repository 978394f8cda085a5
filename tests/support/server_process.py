"""Dagster's code server, whose runs are forked from a process that has imported the libraries: a third of their time.

A run is a process of its own as it is otherwise, and can be killed as one. This patches Dagster, so it is for tests and
`benchmarks/closed_loop.py` alone. The tests under `dg dev` and
`served.py` have runs that are started as Dagster starts them.
"""

import multiprocessing
from types import SimpleNamespace

from dagster._cli import main

IMPORTED = [
    *("dagster._grpc.impl", "dagster._core.storage.event_log", "pandas", "pyarrow.parquet", "matplotlib.figure"),
    *("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
    *("sklearn.compose", "sklearn.ensemble", "sklearn.model_selection"),
]


def fork_runs() -> None:
    """In place of Dagster's `spawn`, which imports everything anew for each run."""
    from dagster._grpc import server

    forked = multiprocessing.get_context("forkserver")
    forked.set_forkserver_preload(IMPORTED)
    server.multiprocessing = SimpleNamespace(get_context=lambda _: forked)


if __name__ == "__main__":
    fork_runs()
    main()
