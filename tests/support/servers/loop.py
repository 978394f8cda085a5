"""A machine whose loop runs by itself, and all that lasts is on the servers of a `World`."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd

from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from support.daemon import LOCATION, Loop
from support.servers.server import REPOSITORY
from support.servers.world import World

LIMITS = {"poll_interval_seconds: 30": 2, "free_slots_after_run_end_seconds: 60": 2}
"""Settings of dagster.yaml with the seconds that they are here."""


class LoopOnServers(Loop):
    """A code server and a daemon with an empty disk. The variables of the world are those of this process as well."""

    def __init__(self, home: Path, model: str, world: World) -> None:
        self.world = world
        super().__init__(home, [model], {**world.servers, "LOOP_LANDING": "s3://mlops/landing"})

    def settings(self) -> str:
        """The text of dagster.yaml, with shorter waits."""
        text = (REPOSITORY / "deploy/dagster.yaml").read_text()
        for setting, seconds in LIMITS.items():
            assert setting in text
            text = text.replace(setting, f"{setting.split(':')[0]}: {seconds}")
        return f"{text}\nrun_launcher: {{module: mlops_assets.launcher, class: WarmRunLauncher}}\n"

    def stores(self) -> tuple[Storage, MlflowRegistry]:
        """The storage and the registry on the servers."""
        storage = Storage(root="s3://mlops/storage", database="$MLOPS_ASSETS_DATABASE")
        return storage, MlflowRegistry(tracking_uri="$MLFLOW_TRACKING_URI", model_cache=str(self.home / "models"))

    def land(self, model: str, batch: str, rows: pd.DataFrame) -> None:
        """An object lands, then its marker."""
        for name, content in ((f"{batch}.csv", rows.to_csv(index=False)), (f"{batch}.csv.done", "")):
            with self.world.files.open_output_stream(f"mlops/landing/{model}/{name}") as stream:
                stream.write(content.encode())

    def landed(self, model: str) -> set[str]:
        """The batches that landed."""
        from pyarrow import fs

        objects = self.world.files.get_file_info(fs.FileSelector(f"mlops/landing/{model}"))
        return {Path(each.path).stem for each in objects if each.path.endswith(".csv")}

    def crash(self) -> None:
        """Kill all processes of the machine at once: daemon, code server, and runs, which are its children."""
        for process in (self.server, self.daemon):
            assert process is not None
            os.killpg(process.pid, signal.SIGKILL)
        for process in (self.server, self.daemon):
            assert process is not None and process.wait(10) == -signal.SIGKILL

    def doctor(self) -> dict[str, dict[str, str]]:
        """The findings of `mlops-assets doctor` on this machine, by name."""
        command = [Path(sys.executable).with_name("mlops-assets"), "doctor", "--json", "-f", LOCATION, "-d", REPOSITORY]
        said = subprocess.run(command, capture_output=True, text=True, env=self.environment, cwd=self.home)
        return {finding["name"]: finding for finding in json.loads(said.stdout)["findings"]}
