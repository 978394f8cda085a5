"""The servers of a deployment, and hosts that share them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from support.postgres import Postgres, postgres_server
from support.servers.hosts import Host, Result
from support.servers.mlflow import mlflow_server
from support.servers.server import REPOSITORY, Server, folder_of, running
from support.servers.stores import s3_files, s3_server
from support.synthetic import rows

Pair = tuple[Host, Host]


class World:
    """The servers, and hosts of a model each."""

    def __init__(self, folder: Path, dagster: Postgres, records: Postgres, s3: Server, mlflow: Server) -> None:
        self.folder, self.dagster, self.records, self.s3, self.mlflow = folder, dagster, records, s3, mlflow
        self.servers = {
            **s3.environment,
            **mlflow.environment,
            "DAGSTER_DATABASE": dagster.environment["DAGSTER_DATABASE"],
            "MLOPS_ASSETS_DATABASE": records.environment["MLOPS_ASSETS_DATABASE"],
            "MLOPS_ASSETS_STORAGE": "s3://mlops/storage",
            "COMPUTE_LOGS_BUCKET": "mlops",
            "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests'}",
        }
        self.files = s3_files(s3.environment)

    def hosts(self, model: str, **declared: Any) -> Pair:
        """Two hosts that declare the same model, whose batches land on S3."""
        declared = {"name": model, "landing": f"s3://mlops/landing/{model}", **declared}
        one, other = (Host(self.folder / f"{model}-{name}", self.servers, declared) for name in ("one", "other"))
        return one, other

    def land(self, model: str, number: int, **columns: Any) -> str:
        """A batch lands; its key."""
        frame: pd.DataFrame = rows(number).assign(**columns)
        with self.files.open_output_stream(f"mlops/landing/{model}/b{number}.csv") as stream:
            stream.write(frame.to_csv(index=False).encode())
        return f"b{number}"

    def end_dead_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What Dagster's run monitoring does within its time limits: fail dead runs, free their slots."""
        for name, value in self.servers.items():
            monkeypatch.setenv(name, value)
        with dg.DagsterInstance.from_config(str(self.folder / "dagster")) as instance:
            for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
                instance.report_run_failed(run)
                instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


@contextmanager
def world_of_servers(folder: Path) -> Iterator[World]:
    """Start PostgreSQL for Dagster and another for the records, S3, and MLflow with a login and its files on S3."""
    (folder / "dagster").mkdir()
    (folder / "dagster/dagster.yaml").write_text((REPOSITORY / "deploy/dagster.yaml").read_text())
    with (
        folder_of("dagster") as one,
        folder_of("records") as other,
        running(postgres_server(one)) as dagster,
        running(postgres_server(other)) as records,
        running(s3_server(folder / "s3")) as s3,
    ):
        s3_files(s3.environment).create_dir("mlops")
        server = {"auth": True, "artifacts": "s3://mlops/mlflow", "environment": s3.environment}
        with mlflow_server(folder / "mlflow", **server) as mlflow:
            yield World(folder, dagster, records, s3, mlflow)


def assert_whole(*hosts: Host) -> Result:
    """Both see the same; each training was done once, promotions are whole, nothing that lasts is on a disk."""
    seen, other = (host.state() for host in hosts)
    assert seen == other
    assert max(Counter(version for _, version in seen["versions"]).values(), default=0) <= 1
    assert all(done or abandoned for _, _, done, abandoned in seen["promotions"])
    assert seen["alias"] == seen["champion"]
    assert [path for host in hosts for path in host.files()] == []
    return seen
