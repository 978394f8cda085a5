"""What a running deployment takes from a cause to its effect: `python benchmarks/launches.py`.

`dagster dev` with the `dagster.yaml` of this repository, its queue and a sensor. Prints seconds (median, least, most):

- the first batch run after a start beside a bare script, from its launch to its end;
- a run in the queue, from its launch to its first step;
- a new batch of 10,000 rows, from the landing of its file to its scores and its drift decision;

and how many retrainings of separate small models end in an hour, each gated, registered and launched by the queue.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

import dagster as dg  # noqa: E402
import overhead  # noqa: E402
import pandas as pd  # noqa: E402
import workload  # noqa: E402
from dagster_graphql import DagsterGraphQLClient  # noqa: E402

LOCATION = """
import dagster as dg
import location
from mlops_assets import Folder, ModelPipeline
from mlops_assets.sensors import new_data_sensor


def small(number):
    source = Folder(str(location.HOME / "small" / f"{number:02d}" / "*.csv"))
    ridge = "sklearn.linear_model.Ridge"
    return ModelPipeline(name=f"small_{number:02d}", source=source, time="at", target="y", problem="regression",
                         estimator=ridge, params={"alpha": 1.0})


defs = dg.Definitions.merge(
    location.defs, *(small(number).build_defs() for number in range(MODELS)),
    dg.Definitions(sensors=[new_data_sensor(minimum_interval_seconds=INTERVAL)]),
)
"""
INTERVAL = 30
MODELS, BATCHES, ROWS = 10, 4, 500
MOST_SECONDS = 600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--trainings", type=int, default=40)
    parser.add_argument("--json", type=Path, help="a file for the rows")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="launches_") as place:
        home = Path(place)
        environment = prepared(home)
        newest = f"batch-{workload.BATCHES:02d}"
        with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
            rows = [row("first run after a start / bare script", first_runs(home, environment, instance, asked.times))]
            with running(home, environment) as client:
                batch = client.submit_job_execution("overhead_batch", tags={"dagster/partition": newest})
                ended(instance, [batch])
                waits = [to_first_step(client, instance, newest) for _ in range(asked.times)]
                rows.append(row("launch to first step, s", waits))
                rows.append(row("file landed to drift decision, s", landings(home, instance, asked.times)))
                rows.append(row("retrainings in an hour", [retrainings(client, instance, asked.trainings)]))
    print(pd.DataFrame(rows).to_string(index=False))
    if asked.json:
        asked.json.write_text(json.dumps({"launches": rows}))


def row(what: str, figures: list[float]) -> dict[str, object]:
    shown = {"median": statistics.median(figures), "least": min(figures), "most": max(figures)}
    return {"what": what, **{name: round(figure, 2) for name, figure in shown.items()}}


def prepared(home: Path) -> dict[str, str]:
    """Write files, settings and code; take in what is trained on; return the environment of the deployment."""
    overhead.prepare(home)
    (home / "dagster" / "dagster.yaml").write_text((HERE.parent / "dagster.yaml").read_text())
    (home / "small_models.py").write_text(f"MODELS, INTERVAL = {MODELS}, {INTERVAL}\n{LOCATION}")
    for model in range(MODELS):
        folder = home / "small" / f"{model:02d}"
        folder.mkdir(parents=True)
        for number in range(BATCHES):
            rows = workload.batch(100 * model + number).head(ROWS)
            file = folder / f"batch-{number}.csv"
            rows.assign(y=rows["x00"] + 0.3 * rows["x01"] * rows["x02"]).to_csv(file, index=False)
            os.utime(file, (time.time() - 60, time.time() - 60))
    path = os.pathsep.join([str(HERE.parent), str(HERE), str(home)])
    environment = os.environ | {"OVERHEAD_HOME": str(home), "DAGSTER_HOME": str(home / "dagster"), "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", HISTORY], check=True, env=environment, stderr=subprocess.DEVNULL)
    overhead.reference(home)
    overhead.script("bare_training.py", home, 0, environment)
    return environment


HISTORY = f"""
import dagster as dg
from mlops_assets.assets.shared.keys import MARK, declared
from small_models import defs

instance = dg.DagsterInstance.get()
for model in ["overhead", *("small_%02d" % number for number in range({MODELS}))]:
    ready = declared(model).source.look(None).ready
    instance.add_dynamic_partitions(model + "_batches", list(ready))
    ready.pop("batch-{workload.BATCHES:02d}", None)  # what is launched later
    job = defs.resolve_job_def(model + "_batch")
    for key, mark in ready.items():
        assert job.execute_in_process(instance=instance, partition_key=key, tags={{MARK: mark}}).success
    assert defs.resolve_job_def(model + "_training").execute_in_process(instance=instance).success
"""


@contextmanager
def running(home: Path, environment: dict[str, str]) -> Iterator[DagsterGraphQLClient]:
    """Run Dagster's webserver, code server and daemon; yield once the webserver answers."""
    port = overhead.free_port()
    command = ["dagster", "dev", "-f", str(home / "small_models.py"), "-d", str(home), "-p", str(port)]
    with (home / "dev.log").open("ab") as log:
        dev = subprocess.Popen(
            [Path(sys.executable).parent / command[0], *command[1:]],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield overhead.client_of(dev, port, home / "dev.log")
    finally:
        dev.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            dev.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(dev.pid, signal.SIGKILL)


def first_runs(home: Path, environment: dict[str, str], instance: dg.DagsterInstance, times: int) -> list[float]:
    """Start the deployment, run a batch at once, and the bare script after it; return the ratios."""
    newest = f"batch-{workload.BATCHES:02d}"
    ratios = []
    for _ in range(times):
        with running(home, environment) as client:
            begin = time.perf_counter()
            ended(instance, [client.submit_job_execution("overhead_batch", tags={"dagster/partition": newest})])
            ours = time.perf_counter() - begin
        begin = time.perf_counter()
        overhead.script("bare_batch.py", home, newest, environment)
        ratios.append(ours / (time.perf_counter() - begin))
        print(f"first run {ours:.1f} s, ratio {ratios[-1]:.2f}", file=sys.stderr, flush=True)
    return ratios


def to_first_step(client: DagsterGraphQLClient, instance: dg.DagsterInstance, key: str) -> float:
    """Launch a batch run; return the seconds until its first step starts."""
    begin = time.time()
    run_id = client.submit_job_execution("overhead_batch", tags={"dagster/partition": key})
    ended(instance, [run_id])
    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_START)
    return min(event.timestamp for event in events) - begin


def landings(home: Path, instance: dg.DagsterInstance, times: int) -> list[float]:
    """Let files land one after another; return the seconds until each has its drift decision."""
    spent = []
    for number in range(workload.BATCHES + 1, workload.BATCHES + 1 + times):
        key, folder = f"batch-{number:02d}", home / "landing"
        workload.batch(number).to_csv(folder / f".{key}", index=False)
        time.sleep(7 * number % INTERVAL)  # at another moment between two ticks
        begin = time.time()
        (folder / f".{key}").rename(folder / f"{key}.csv")
        (folder / f"{key}.csv.done").touch()
        spent.append(decided(instance, dg.AssetKey(["overhead", "drift"]), key) - begin)
        print(f"{key}: {spent[-1]:.1f} s after it landed", file=sys.stderr, flush=True)
    return spent


def decided(instance: dg.DagsterInstance, asset: dg.AssetKey, key: str) -> float:
    """Wait until the asset of a batch is materialized; return when it was."""
    wanted = dg.AssetRecordsFilter(asset, asset_partitions=[key])
    wait(lambda: bool(instance.fetch_materializations(wanted, limit=1).records), f"{asset.to_user_string()} of {key}")
    return instance.fetch_materializations(wanted, limit=1).records[0].timestamp


def retrainings(client: DagsterGraphQLClient, instance: dg.DagsterInstance, times: int) -> float:
    """Launch trainings of separate models, each of other parameters; return how many end in an hour."""
    begin = time.time()
    runs = []
    for number in range(times):
        name = f"small_{number % MODELS:02d}"
        config = {"ops": {f"{name}__challenger": {"config": {"params": {"alpha": 1.0 + (1 + number) / 1000}}}}}
        runs.append(client.submit_job_execution(f"{name}_training", run_config=config))
    ended(instance, runs)
    seconds = max(instance.get_run_record_by_id(run).end_time for run in runs) - begin
    print(f"{times} retrainings in {seconds:.0f} s", file=sys.stderr, flush=True)
    return 3600 * times / seconds


def ended(instance: dg.DagsterInstance, runs: list[str]) -> None:
    """Wait until runs have ended; each has to succeed."""
    wait(lambda: all(instance.get_run_by_id(run).is_finished for run in runs), "the runs end")
    for run in map(instance.get_run_by_id, runs):
        if not run.is_success:
            raise SystemExit(f"run {run.run_id} of {run.job_name} ended as {run.status}")


def wait(until: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + MOST_SECONDS
    while not until():
        if time.monotonic() > end:
            raise SystemExit(f"waited {MOST_SECONDS:.0f} s until {what}")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
