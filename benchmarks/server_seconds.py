"""What servers cost: the same batch run with everything on servers and on files, side by side.

`python benchmarks/server_seconds.py [--pairs 5]`. The servers, on loopback: PostgreSQL for Dagster and the records, S3
for frames and models, MLflow with basic auth. Each run is a process of its own with a batch of its own of 10,000 x 20;
the first pair warms up. Prints seconds, processor seconds of the run's process, and the requests to S3 and MLflow.
"""

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import overhead
import workload

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from support.postgres import postgres_server  # noqa: E402
from support.relay import Relay  # noqa: E402
from support.servers.mlflow import MlflowServer, mlflow_server  # noqa: E402
from support.servers.server import folder_of, running  # noqa: E402
from support.servers.stores import s3_files, s3_server  # noqa: E402

BUCKET = "measured"
RUN = """
import sys
import dagster as dg
from location import defs

instance = dg.DagsterInstance.get()
job, keys = defs.resolve_job_def(sys.argv[1]), sys.argv[2:]
instance.add_dynamic_partitions("overhead_batches", keys)
for key in keys or [None]:
    assert job.execute_in_process(instance=instance, partition_key=key).success
"""


@dataclass(frozen=True)
class Servers:
    """What a deployment on servers has, and what counts its requests."""

    environment: Mapping[str, str]
    dagster: str
    mlflow: MlflowServer
    s3: "Counted"


class Counted(Relay):
    """A relay before a server of HTTP that counts the requests."""

    def __init__(self, to_port: int) -> None:
        super().__init__(to_port)
        self.requests = 0

    def passed(self, part: bytes) -> None:
        """Count the requests that begin in a part of what a client sends."""
        self.requests += len(re.findall(rb"(?:^|\r\n)(?:GET|PUT|POST|HEAD|DELETE) [^ \r\n]+ HTTP/1", part))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    asked = parser.parse_args()
    with folder_of("servers") as home, served(home) as servers:
        places = {
            "servers": Deployment(home / "on_servers", servers.environment, servers.dagster),
            "files": Deployment(home / "on_files", {}, ""),
        }
        for place in places.values():
            place.prepare(asked.pairs + 1)
        rows: dict[str, list[tuple[float, float]]] = {name: [] for name in places}
        for pair in range(asked.pairs + 1):
            before = servers.s3.requests, requests_to(servers.mlflow)
            for name, place in places.items():
                rows[name].append(place.batch(workload.BATCHES + pair))
            after = servers.s3.requests, requests_to(servers.mlflow)
            print(pair, {name: measured[-1] for name, measured in rows.items()}, file=sys.stderr, flush=True)
    report(rows)
    print(f"requests of a batch run: {after[0] - before[0]} to S3, {after[1] - before[1]} to MLflow")


def report(rows: Mapping[str, list[tuple[float, float]]]) -> None:
    """Print medians of the pairs and of their ratios, the first pair left out."""
    for number, unit in enumerate(("s", "processor s")):
        on_servers, on_files = ([each[number] for each in rows[name][1:]] for name in ("servers", "files"))
        ratios = [one / other for one, other in zip(on_servers, on_files, strict=True)]
        print(
            f"batch run, 10,000 x 20: {statistics.median(on_servers):.2f} {unit} on servers, "
            f"{statistics.median(on_files):.2f} {unit} on files, ratio {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


@contextmanager
def served(home: Path) -> Iterator[Servers]:
    """Serve what a deployment needs."""
    with running(postgres_server(home / "postgres")) as postgres, running(s3_server(home / "s3")) as s3:
        s3_files(s3.environment).create_dir(BUCKET)
        counted = Counted(s3.port)
        counted.set("pass")
        with mlflow_server(
            home / "mlflow",
            artifacts=f"s3://{BUCKET}/mlflow",
            auth=True,
            database=postgres.environment["MLFLOW_BACKEND_STORE_URI"],
            environment=s3.environment,
        ) as mlflow:
            environment = {**s3.environment, **mlflow.environment}
            environment["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{counted.port}"
            environment["MLOPS_ASSETS_STORAGE"] = f"s3://{BUCKET}/storage"
            environment["MLOPS_ASSETS_DATABASE"] = postgres.environment["MLOPS_ASSETS_DATABASE"]
            yield Servers(environment, postgres.environment["DAGSTER_DATABASE"], mlflow, counted)


def requests_to(server: MlflowServer) -> int:
    """Return how many requests the server's log holds."""
    return len(re.findall(r'"[A-Z]+ [^"]+ HTTP/', server.log.read_text()))


class Deployment:
    """The measured job with its own instance, on servers or on files."""

    def __init__(self, home: Path, environment: Mapping[str, str], database: str) -> None:
        self.home = home
        self.environment = {
            **os.environ,
            **environment,
            "OVERHEAD_HOME": str(home),
            "DAGSTER_HOME": str(home / "dagster"),
            "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)]),
        }
        self.database = database

    def prepare(self, batches: int) -> None:
        """Take in the batches that are trained on, and train; `batches` more have landed."""
        self.home.mkdir()
        overhead.prepare(self.home)
        if self.database:
            overhead.write_settings(self.home / "dagster", storage={"postgres": {"postgres_url": self.database}})
        for number in range(workload.BATCHES, workload.BATCHES + batches):
            file = self.home / "landing" / f"batch-{number:02d}.csv"
            workload.batch(number).to_csv(file, index=False)
            os.utime(file, (time.time() - 60, time.time() - 60))
        self._run("overhead_batch", *(f"batch-{number:02d}" for number in range(workload.BATCHES)))
        self._run("overhead_training")

    def batch(self, number: int) -> tuple[float, float]:
        """Run one batch; return seconds and processor seconds."""
        begin, used = time.perf_counter(), _processor()
        self._run("overhead_batch", f"batch-{number:02d}")
        return round(time.perf_counter() - begin, 2), round(_processor() - used, 2)

    def _run(self, *words: str) -> None:
        done = subprocess.run([sys.executable, "-c", RUN, *words], env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr[-5_000:])


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
