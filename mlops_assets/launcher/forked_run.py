"""A run in a fork of the warm process: from here on it is like a process that was started for it."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg

from mlops_assets.dagster_private import execute_run, instance_at
from mlops_assets.launcher.living import PROCESS, Living, name_of_process
from mlops_assets.lazy import np, threadpoolctl

SIGNALS = [signal.SIGINT, signal.SIGTERM]
"""What may end a run; kept back until its code is loaded and it can record that it was canceled."""

_SECONDS_TO_GO = 60.0


def forked_run(connection: socket.socket, environment: Mapping[str, str], request: Mapping[str, Any]) -> int:
    """Say `ready`, wait for `go`, say `begun` once the run names this process, and run; return the exit code.

    Without `go` nothing is done: whoever asked may have given the run to the code server instead. A process that ends
    before `begun`, as without Dagster's database, leaves the run to whoever asked.
    """
    connection.settimeout(_SECONDS_TO_GO)
    connection.sendall(b'{"ready": true}\n')
    if connection.recv(3) != b"go\n":
        return 0
    _become(environment, request["folder"], request["run_id"])
    with instance_at(request["instance"]) as instance:
        instance.add_run_tags(request["run_id"], {PROCESS: f"{request['run_id']} {Living.this().to_json()}"})
        with suppress(OSError):  # whoever asked has ended, and the run goes on
            connection.sendall(b"begun\n")
        connection.close()
        return _run(instance, request["run_id"])


def _become(environment: Mapping[str, str], folder: str, run_id: str) -> None:
    """Take the environment and the folder of the code server, and forget what all forks would share."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.argv = ["dagster", "api", "execute_run"]
    Path("/proc/self/comm").write_text(name_of_process(run_id))
    importlib.invalidate_caches()
    np.random.seed()  # Python seeds its own generator anew in a fork
    threadpoolctl.threadpool_limits(threads_of_blas(environment), user_api="blas")


def threads_of_blas(environment: Mapping[str, str]) -> int:
    """Return how many threads OpenBLAS has in a process that is started in this environment."""
    asked = (environment.get(name, "") for name in ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"))
    first = next((text for text in asked if text.isdigit() and int(text) > 0), None)
    processors = len(os.sched_getaffinity(0))
    return processors if first is None else min(int(first), processors)


def _run(instance: dg.DagsterInstance, run_id: str) -> int:
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return 0
    if run.status is dg.DagsterRunStatus.CANCELING:  # before there was a process to end
        instance.report_run_canceled(run)
        return 0

    def interrupt_from_now_on() -> None:
        if signal.sigpending() & set(SIGNALS):
            instance.report_run_canceling(run)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    return execute_run(instance, run, interrupt_from_now_on)
