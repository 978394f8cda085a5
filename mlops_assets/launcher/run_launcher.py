"""The launcher: runs of code servers on this machine are forked from a warm process, all others go the usual way."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import dagster as dg

from mlops_assets.dagster_private import CheckRunHealthResult, ConfigurableClassData, LaunchRunContext, WorkerStatus
from mlops_assets.launcher.code_server import CodeServer, code_server_here
from mlops_assets.launcher.living import PROCESS, Living, name_of_process
from mlops_assets.launcher.warm_place import WarmPlace, stay

_SECONDS_TO_READY = 30.0
"""How long a launch waits for a warm process that still imports: longer than its imports take."""


class WarmRunLauncher(dg.DefaultRunLauncher):
    """Launches runs as forks of a process that has imported the libraries, which saves each run its imports.

    Each run loads the user's code anew, in the folder and with the variables of its code server. This serves code
    servers of this machine (Linux) that have the Python of the process that launches. Other runs are launched by
    their code server, as `DefaultRunLauncher` does; so is a run that the warm process cannot serve, and its log
    says why.

    preload: further modules to import once, such as large libraries of the project's own steps.
    """

    def __init__(self, preload: tuple[str, ...] = (), inst_data: ConfigurableClassData | None = None) -> None:
        self.preload = tuple(preload)
        super().__init__(inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """See `ConfigurableClass`."""
        return {"preload": dg.Field([str], is_required=False, default_value=[])}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> WarmRunLauncher:
        """See `ConfigurableClass`."""
        return cls(tuple(config_value["preload"]), inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """See `RunLauncher`."""
        server = code_server_here(context)
        if server is None:
            super().launch_run(context)
            return
        place = self.place(server.environment)
        try:
            self._fork(place, context.dagster_run.run_id, server)
        except (OSError, ValueError) as error:
            why = f"The code server runs this run, since the warm process does not: {error} (log: {place.log})"
            self._instance.report_engine_event(why, context.dagster_run, cls=type(self))
            self._forget_process(context.dagster_run.run_id)
            super().launch_run(context)
        stay(place)

    def place(self, environment: Mapping[str, str]) -> WarmPlace:
        """Return where the warm process for an environment listens."""
        return WarmPlace.of(Path(self._instance.root_directory), environment, self.preload)

    def terminate(self, run_id: str) -> bool:
        """See `RunLauncher`."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        process = process_of(run)
        if process is None:  # a run of a code server, or one that will see what it is told here when it begins
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        if not process.is_here:
            where = f"The run is process {process.pid} of {process.host}: only a launcher there can end it."
            self._instance.report_engine_event(where, run, cls=type(self))
            return False
        if run.status is not dg.DagsterRunStatus.STARTING:  # see `execute_run`
            self._instance.report_run_canceling(run)
        return process.interrupt(name_of_process(run_id))

    @property
    def supports_check_run_worker_health(self) -> bool:
        """See `RunLauncher`."""
        return sys.platform == "linux"

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """See `RunLauncher`; runs of a code server or of another machine count as running."""
        process = process_of(run)
        if process is None or not process.is_here:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its process is not one of this launcher and machine")
        if process.is_alive:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        gone = f"process {process.pid} of {process.host} is gone: it was killed, as for want of memory"
        return CheckRunHealthResult(WorkerStatus.FAILED, gone)

    def _fork(self, place: WarmPlace, run_id: str, server: CodeServer) -> None:
        """Have the run forked; raises `OSError` or `ValueError` if it was not, and never will be."""
        request = {
            "run_id": run_id,
            "instance": dg.serialize_value(self._instance.get_ref()),
            "environment": dict(server.environment),
            "folder": server.folder,
        }
        with place.connect_or_start(_SECONDS_TO_READY) as connection:
            line = json.dumps(request).encode() + b"\n"
            sent = socket.send_fds(connection, [line], [1, 2])
            if sent < len(line):  # to send nothing would fail where the answer is there already
                connection.sendall(line[sent:])
            answers = connection.makefile()
            answer = json.loads(answers.readline() or '{"refused": "it ended before it answered"}')
            if refused := answer.get("refused"):
                raise ConnectionRefusedError(refused)
            connection.sendall(b"go\n")
            with suppress(TimeoutError):  # it was told to go: it may still begin, and no other may run the same
                if not answers.readline():
                    raise ConnectionError("the process of the run ended before it began")

    def _forget_process(self, run_id: str) -> None:
        """Empty the tag that a fork wrote before it ended: by it the run of the code server would count as dead."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None and process_of(run) is not None:
            self._instance.add_run_tags(run_id, {PROCESS: ""})


def process_of(run: dg.DagsterRun) -> Living | None:
    """Return the process of a run that was forked; None for any other run, such as a repeat that has its tags."""
    if not run.tags.get(PROCESS, "").startswith(run.run_id):
        return None
    try:
        return Living.from_json(run.tags[PROCESS].removeprefix(run.run_id))
    except ValueError:
        return None


def attend(instance: dg.DagsterInstance) -> None:
    """Have the warm process of this code server ready before a run is launched; without this launcher do nothing."""
    if sys.argv[1:3] != ["api", "grpc"] or not instance.is_persistent:
        return
    launcher = instance.get_ref().run_launcher_data
    if launcher is not None and launcher.module_name.startswith("mlops_assets.launcher"):
        warm = cast(WarmRunLauncher, instance.run_launcher)
        stay(warm.place(CodeServer.of_process("self").environment))
