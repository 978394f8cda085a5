"""Hosts that share servers and nothing else: each has an empty disk, and a process of its own for each run.

A process is forked from one that has imported the libraries, as hosts import them anew for each run. It can be told to
kill itself at a point of its work, as a host that loses its power in the middle of it.
"""

import json
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from support.servers.server import REPOSITORY

IMPORTED = [
    *("dagster._core.execution.api", "dagster_postgres", "dagster_aws.s3", "pandas", "pyarrow.fs", "pyarrow.parquet"),
    *(
        "mlflow.tracking",
        "great_expectations",
        "sklearn.linear_model",
        "mlops_assets.cli.main",
        "scipy.stats",
        "psycopg",
    ),
    "psycopg2",
]
POINTS = {
    "frame written": ("mlops_assets.resources.storage.resource", "Storage.write_frame", "after"),
    "batch on record": ("mlops_assets.assets.batch.dataset", "_accept", "after"),
    "before drift": ("mlops_assets.records.reports", "BatchReports.put", "before"),
    "fitted": ("mlops_assets.assets.training.fit", "_fitted", "after"),
    "registered": ("mlops_assets.resources.mlflow.registry", "MlflowRegistry.register", "after"),
    "before the alias": ("mlops_assets.resources.mlflow.registry", "MlflowRegistry.set_champion", "before"),
    "after the alias": ("mlops_assets.resources.mlflow.registry", "MlflowRegistry.set_champion", "after"),
    "refitted": ("mlops_assets.reproduction.reproduce", "_predictions", "before"),
}
"""Where a process can kill itself: the function, and whether before or after it."""

Result = dict[str, Any]
PATIENCE = 240.0


class Host:
    """A machine: a folder, which nobody else sees, and the variables that name the servers."""

    def __init__(self, folder: Path, servers: Mapping[str, str], model: Mapping[str, Any]) -> None:
        self.folder, self._model = folder, dict(model)
        self.cursors: dict[str, str | None] = {}
        self.largest_file = resource.RLIM_INFINITY
        """Bytes that a file may have: the kernel refuses more half-way, as a full disk does."""
        (folder / "dagster").mkdir(parents=True)
        (folder / "dagster/dagster.yaml").write_text((REPOSITORY / "deploy/dagster.yaml").read_text())
        (folder / "work" / folder.name).mkdir(parents=True)
        home = {"MLOPS_ASSETS_HOME": str(folder / "home"), "DAGSTER_HOME": str(folder / "dagster")}
        self.environment = {**servers, **home}

    def batch(self, batch: str, die_at: str = "") -> Result:
        """Run the job of a batch; `die_at` is one of `POINTS`."""
        return self._do(_run, die_at, job="batch", partition_key=batch)

    def train(self, die_at: str = "", **params: Any) -> Result:
        """Run the job of a training."""
        return self._do(_run, die_at, job="training", step="challenger", config={"params": params} if params else {})

    def champion(self, die_at: str = "", **action: Any) -> Result:
        """Run `champion` alone, as from the UI: a rollback, an approval, a promotion."""
        return self._do(_run, die_at, job="training", step="champion", config=action, alone=True)

    def sense(self) -> dict[str, Result]:
        """A tick of each sensor of the repository: seconds, what it requests, what it logs or raises."""
        ticks = self._do(_sense, "", cursors=self.cursors)
        self.cursors |= {name: tick["cursor"] for name, tick in ticks.items() if tick["cursor"] is not None}
        return ticks

    def send_alerts(self, tick: Result) -> Result:
        """The run that a tick of the sensor `alerts` requests."""
        (request,) = tick["requests"]
        return self._do(_run, "", job="mlops_assets_alerts", config=request["config"])

    def command(self, *words: str, die_at: str = "") -> Result:
        """Run a command of `mlops-assets` on the model."""
        return self._do(_command, die_at, words=words)

    def doctor(self) -> dict[str, dict[str, str]]:
        """The findings of `mlops-assets doctor`, by name."""
        findings = json.loads(self.command("doctor", "--json")["out"])["findings"]
        return {finding["name"]: finding for finding in findings}

    def state(self) -> Result:
        """What is on record, as this host sees it."""
        return self._do(_state, "")

    def take(self, name: str) -> str:
        """The text of a file that a command left in its working directory, which is removed."""
        path = self.folder / "work" / self.folder.name / name
        text = path.read_text()
        path.unlink()
        return text

    def files(self) -> list[Path]:
        """What lies on its disk, but for copies of models and settings of Dagster."""
        made = [path for path in self.folder.rglob("*") if path.is_file()]
        return [path for path in made if not {"models", "dagster.yaml", "__pycache__"} & set(path.parts)]

    def _do(self, what: Callable[..., Result], die_at: str, **options: Any) -> Result:
        """Do it in a process of its own; `{"killed": True}` for one that killed itself."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        ours, theirs = context.Pipe(duplex=False)
        where = {"work": self.folder / "work" / self.folder.name, "environment": self.environment, "die_at": die_at}
        where["largest_file"] = self.largest_file
        process = context.Process(target=_process, args=(theirs, what, where, self._model, options))
        process.start()
        theirs.close()
        try:
            if not ours.poll(PATIENCE):
                process.kill()
                raise AssertionError(f"{what.__name__} does not end: {options}")
            result: Result = ours.recv()
        except EOFError:
            process.join(30)
            assert process.exitcode == -signal.SIGKILL and die_at, f"the process ended with {process.exitcode}"
            return {"killed": True}
        process.join(60)
        assert "raised" not in result, result
        return result


def _process(pipe: Any, what: Callable[..., Result], where: dict[str, Any], model: Any, options: Any) -> None:
    os.chdir(where["work"])
    os.environ.update(where["environment"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (where["largest_file"], resource.RLIM_INFINITY))
    (Path(os.environ["MLOPS_ASSETS_HOME"])).mkdir(exist_ok=True)
    if where["die_at"]:
        _arm(*POINTS[where["die_at"]])
    try:
        pipe.send(what(model, **options))
    except Exception as error:
        import traceback

        pipe.send({"raised": f"{error}\n{traceback.format_exc()}"})


def _arm(module: str, name: str, when: str) -> None:
    """Let this process die as by `kill -9` before or after a function, the first time that it is called."""
    from importlib import import_module

    owner: Any = import_module(module)
    *parents, name = name.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    function = getattr(owner, name)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs) if when == "after" else None
        os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)


def definitions(model: Mapping[str, Any]) -> Any:
    """Return the declaration and the definitions of a code location of one model, on the servers of the environment."""
    import dagster as dg

    from mlops_assets import Folder, ModelPipeline
    from resources import resources
    from sensors import sensors

    impatient = resources["mlflow_registry"].model_copy(update={"timeout_seconds": 4})  # lest tests wait for long
    source = Folder(model["landing"] + "/*.csv")
    declared = {name: value for name, value in model.items() if name != "landing"}
    pipeline = ModelPipeline(
        **{"source": source, "time": "day", "key": ["id"], "target": "y", "holdout": 1, "metrics": ["rmse"]},
        **{"estimator": "sklearn.linear_model.Ridge", "pages": "never", **declared},
    )
    of_location = dg.Definitions(resources={**resources, "mlflow_registry": impatient}, sensors=sensors)
    return pipeline, dg.Definitions.merge(pipeline.build_defs(), of_location)


def _run(model: Any, job: str, step: str = "", config: Any = None, alone: bool = False, **options: Any) -> Result:
    import dagster as dg

    from mlops_assets.assets.shared.keys import asset_key, batches
    from support.deployment import QUIET, failed, why

    pipeline, defs = definitions(model)
    name = pipeline.name
    job = job if job.startswith("mlops_assets") else f"{name}_{job}"
    with dg.DagsterInstance.get() as instance:
        if batch := options.get("partition_key"):
            instance.add_dynamic_partitions(batches(name).name, [batch])
        ops = {"ops": {f"{name}__{step}": {"config": config}}} if config and step else config or {}
        if alone:
            options["asset_selection"] = [asset_key(name, step)]
        result = defs.resolve_job_def(job).execute_in_process(
            instance=instance, raise_on_error=False, run_config={**QUIET, **ops}, **options
        )
        done = {"success": result.success, "run": result.run_id, "failed": failed(result)}
        return done if result.success else {**done, "why": why(result)}


def _sense(model: Any, cursors: Mapping[str, str | None]) -> Result:
    import dagster as dg

    from sensors import sensors

    _, defs = definitions(model)
    ticks: Result = {}
    with dg.DagsterInstance.get() as instance:
        for sensor in sensors:
            resources = {name: defs.resources[name] for name in sensor.required_resource_keys}
            repository, cursor = defs.get_repository_def(), cursors.get(sensor.name)
            context = dg.build_sensor_context(instance, cursor, repository_def=repository, resources=resources)
            begin, said, tick = time.monotonic(), "", None
            try:
                tick = sensor.evaluate_tick(context)
            except Exception as error:  # Dagster records a failed tick, and the next one comes
                said = f"{error} {error.__cause__}"
            requests = [] if tick is None else tick.run_requests or []
            ticks[sensor.name] = {
                "seconds": time.monotonic() - begin,
                "requests": [{"batch": each.partition_key, "config": each.run_config} for each in requests],
                "cursor": None if tick is None else tick.cursor,
                "said": said,
            }
    return ticks


def _command(model: Any, words: tuple[str, ...]) -> Result:
    from support.lived import run

    location = Path("definitions.py")
    location.write_text(
        f"import json\nfrom support.servers.hosts import definitions\n_, defs = definitions({model!r})\n"
    )
    said = run(*words, "-f", str(location.absolute()), "-d", str(location.absolute().parent))
    location.unlink()
    return {"code": said.code, "out": said.out, "err": said.err}


def _state(model: Any) -> Result:
    from mlops_assets.records.model_records import ModelRecords

    pipeline, defs = definitions(model)
    storage, registry = defs.resources["mlops_storage"], defs.resources["mlflow_registry"]
    records, name = ModelRecords(pipeline, storage), pipeline.name
    alias, champion = registry.champion(name), records.promotions.champion()
    promotions = [(each.number, each.version, each.done, bool(each.abandoned)) for each in records.promotions.all()]
    return {
        "batches": {each.batch: each.status for each in records.batches.all()},
        "trainings": [(each.data_version, each.status) for each in records.trainings.all()],
        "versions": [(each.version, each.tags["data_version"]) for each in registry.versions(name)],
        "promotions": promotions,
        "alias": alias and alias.version,
        "champion": champion and champion.version,
        "drift": {batch: report.verdict for batch, report in records.reports.all("drift").items()},
    }
