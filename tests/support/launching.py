"""A code server on a socket, and an instance that launches its runs as forks of a warm process."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget

from mlops_assets.launcher.code_server import CodeServer
from mlops_assets.launcher.run_launcher import WarmRunLauncher
from mlops_assets.launcher.warm_place import WarmPlace
from support.daemon import end, listens, wait_until
from support.pages import blocks

LAUNCHER, WITH_PRELOAD, STORAGE = (block.text for block in blocks("how-to/warm-runs.md") if block.language == "yaml")
LOCATION = Path(__file__).with_name("launched_location.py")
REPOSITORY = Path(__file__).parents[2]


class Launching:
    """A deployment below `home` without a queue: `launch` gives a run to the launcher in this process."""

    def __init__(
        self,
        home: Path,
        settings: str = LAUNCHER,
        at_port: int | None = None,
        location: Path = LOCATION,
        **variables: str,
    ) -> None:
        self.home, self.out, self.code = home, home / "out", home / "code"
        for folder in (self.home / "dagster", self.out, self.code):
            folder.mkdir(parents=True)
        shutil.copy(location, self.code)
        (home / "dagster/dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{settings}\n{STORAGE}")
        self.instance = dg.DagsterInstance.from_config(str(home / "dagster"))
        self._short = Path(tempfile.mkdtemp(prefix="launching_"))
        self.environment = {
            **os.environ,
            "DAGSTER_HOME": str(home / "dagster"),
            "LAUNCHER_OUT": str(self.out),
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(home / "lib")]),
            **variables,
        }
        if "OMP_NUM_THREADS" not in variables:  # the tests themselves have it; a user does not
            self.environment.pop("OMP_NUM_THREADS", None)
        where = ("-p", str(at_port)) if at_port else ("-s", str(self._short / "server"))
        command = [sys.executable, "-m", "dagster", "api", "grpc", *where, "-f", location.name, "-d", "."]
        with (home / "server.log").open("wb") as log:
            self.server = subprocess.Popen(
                command, cwd=self.code, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        address = at_port or str(self._short / "server")
        wait_until(lambda: listens(address), "the code server listens", 60)
        target = GrpcServerTarget(
            host="127.0.0.1",
            port=at_port,
            socket=None if at_port else str(self._short / "server"),
            location_name="launched",
        )
        self._workspace = WorkspaceProcessContext(self.instance, target)

    def close(self) -> None:
        """End all processes."""
        self._workspace.__exit__(None, None, None)
        for warm in self.warm():
            os.kill(warm["pid"], 9)
        end(self.server)
        self.instance.dispose()
        shutil.rmtree(self._short)

    def launch(self, job: str, **tags: str) -> str:
        """Launch a run; return its id."""
        workspace = self._workspace.create_request_context()
        location = workspace.get_code_location("launched")
        repository = next(iter(location.get_repositories().values()))
        remote = repository.get_full_job(job)
        plan = location.get_execution_plan(remote, {}, step_keys_to_execute=None, known_state=None)
        run = self.instance.create_run(
            job_name=job,
            run_id=None,
            run_config={},
            resolved_op_selection=None,
            step_keys_to_execute=plan.execution_plan_snapshot.step_keys_to_execute,
            op_selection=None,
            status=None,
            root_run_id=None,
            parent_run_id=None,
            tags={**remote.tags, **tags},
            job_snapshot=remote.job_snapshot,
            execution_plan_snapshot=plan.execution_plan_snapshot,
            parent_job_snapshot=remote.parent_job_snapshot,
            remote_job_origin=remote.get_remote_origin(),
            job_code_origin=remote.get_python_origin(),
            asset_selection=None,
            asset_check_selection=None,
            asset_graph=repository.asset_graph,
        )
        self.instance.launch_run(run.run_id, workspace)
        return run.run_id

    def ended(self, run_id: str, patience: float = 90.0) -> dg.DagsterRun:
        """Wait for the end of a run."""
        wait_until(lambda: self.instance.get_run_by_id(run_id).is_finished, f"run {run_id} ends", patience)
        return self.instance.get_run_by_id(run_id)

    def told(self, run_id: str) -> dict[str, Any]:
        """What the step `tells` wrote."""
        return json.loads((self.out / run_id).read_text())

    def events(self, run_id: str) -> str:
        """The texts of the engine's events of a run."""
        events = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        return "\n".join(event.message for event in events)

    def place(self) -> WarmPlace:
        """Where the warm process of the code server listens."""
        return self.instance.run_launcher.place(CodeServer.of_process(self.server.pid).environment)

    def warm(self) -> list[dict[str, Any]]:
        """The states of the warm processes of this deployment."""
        if not isinstance(self.instance.run_launcher, WarmRunLauncher):
            return []
        try:
            return [self.place().state(60.0)]
        except OSError:
            return []
