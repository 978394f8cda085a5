"""A deployment of its own for a test: Dagster and MLflow on SQLite and a landing folder, all below one folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from mlops_assets import Folder, ModelPipeline
from mlops_assets.assets.shared.keys import MARK, asset_key, batches
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.frames import BatchFiles, latest_versions
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage

REPOSITORY = Path(__file__).parents[2]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Deployment:
    """An instance with this repository's dagster.yaml, and the resources of this repository below `home`.

    With another `registry` or `storage` it is one host of several.
    """

    def __init__(self, home: Path, registry: MlflowRegistry | None = None, storage: Storage | None = None) -> None:
        (home / "dagster").mkdir(parents=True, exist_ok=True)
        (home / "dagster/dagster.yaml").write_text(self.settings())
        self.home = home
        self.instance = dg.DagsterInstance.from_config(str(home / "dagster"))
        self.storage = storage or Storage(root=str(home / "storage"))
        self.registry = registry or MlflowRegistry(
            tracking_uri=f"sqlite:///{home / 'mlflow.db'}", artifact_root=str(home / "artifacts")
        )
        self.resources = {
            "mlops_storage": self.storage,
            "mlops_batches": BatchFiles(root=self.storage.root, database=self.storage.database),
            "mlflow_registry": self.registry,
            "great_expectations": GreatExpectations(),
        }

    def settings(self) -> str:
        """The text of dagster.yaml."""
        return (REPOSITORY / "dagster.yaml").read_text()

    def model(self, name: str, **declared: Any) -> "DeployedModel":
        """A regression of `y` on rows as `synthetic.rows` gives them, unless declared otherwise."""
        landing = self.home / "landing" / name
        landing.mkdir(parents=True, exist_ok=True)
        ordinary = {
            "source": Folder(str(landing / "*.csv")),
            "time": "day",
            "key": ["id"],
            "target": "y",
            "estimator": "sklearn.linear_model.Ridge",
            "metrics": ["rmse", "mae"],
            "holdout": 1,
        }
        return DeployedModel(self, ModelPipeline(name=name, **{**ordinary, **declared}), landing)


class DeployedModel:
    """Runs the jobs of one model as the UI and the sensors launch them, and looks at what became of them."""

    def __init__(self, deployment: Deployment, pipeline: ModelPipeline, landing: Path) -> None:
        self.name, self.pipeline, self.landing = pipeline.name, pipeline, landing
        self.instance, self.storage, self.registry = deployment.instance, deployment.storage, deployment.registry
        self.defs = dg.Definitions.merge(pipeline.build_defs(), dg.Definitions(resources=deployment.resources))
        self.records = ModelRecords(pipeline, self.storage)
        self.ledger = self.records.batches

    def land(self, batch: str, content: pd.DataFrame) -> str:
        """Put a file into the landing folder; the key of its batch."""
        content.to_csv(self.landing / f"{batch}.csv", index=False)
        return batch

    def take_in(self, batch: str, mark: str = "") -> dg.ExecuteInProcessResult:
        """One run of `<model>_batch`."""
        return self._run("batch", partition_key=self._known(batch), tags={MARK: mark})

    def prepare(self, **frames: pd.DataFrame) -> None:
        """Land batches and take them in as far as training needs it."""
        for batch, frame in frames.items():
            result = self.materialize("dataset", "features", batch=self.land(batch, frame))
            assert result.success, why(result)

    def train(self, **params: Any) -> dg.ExecuteInProcessResult:
        """One run of `<model>_training`, with parameters of the estimator as in the launchpad."""
        return self._run("training", run_config=self._config("challenger", {"params": params} if params else {}))

    def challenge(self, **params: Any) -> dg.ExecuteInProcessResult:
        """The same without evaluation and model card, which no decision rests on and which cost half of the time."""
        config = {"params": params} if params else {}
        return self.materialize("challenger", "training_set", "champion", **config)

    def materialize(self, *kinds: str, batch: str | None = None, **config: Any) -> dg.ExecuteInProcessResult:
        """These assets alone, as chosen in the UI; `config` is that of the first."""
        options = {} if batch is None else {"partition_key": self._known(batch)}
        job = "batch" if batch is not None else "training"
        selection = [asset_key(self.name, kind) for kind in kinds]
        return self._run(job, asset_selection=selection, run_config=self._config(kinds[0], config), **options)

    def champion(self) -> int | None:
        """The number of the version that the alias names."""
        found = self.registry.champion(self.name)
        return None if found is None else found.version

    def record(self, batch: str) -> BatchRecord:
        """What the ledger says of a batch."""
        found = self.ledger.get(batch)
        assert found is not None, f"{batch} was never looked at"
        return found

    def shown(self, kind: str) -> Mapping[str, Any]:
        """Plain metadata of the newest materialisation of an asset."""
        event = self.instance.get_latest_materialization_event(asset_key(self.name, kind))
        assert event is not None and event.asset_materialization is not None, f"{kind} was never materialised"
        return plain(event.asset_materialization.metadata)

    def predictions(self, batch: str) -> pd.DataFrame:
        """The stored scores of a batch."""
        version = latest_versions(self.storage, self.name, "predictions", [batch])[batch]
        assert version is not None, f"{batch} was never scored"
        return self.storage.read_frame(self.name, "predictions", batch, version)

    def _known(self, batch: str) -> str:
        self.instance.add_dynamic_partitions(batches(self.name).name, [batch])
        return batch

    def _config(self, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
        return {"ops": {f"{self.name}__{kind}": {"config": config}}} if config else {}

    def _run(self, job: str, run_config: Mapping[str, Any] | None = None, **options: Any) -> dg.ExecuteInProcessResult:
        return self.defs.resolve_job_def(f"{self.name}_{job}").execute_in_process(
            instance=self.instance, raise_on_error=False, run_config={**QUIET, **(run_config or {})}, **options
        )


def checks(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The check evaluations of a run by name."""
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def failed(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """The failed checks of a run with what they say."""
    return {name: check.description for name, check in checks(result).items() if not check.passed}


def why(result: dg.ExecuteInProcessResult) -> str:
    """Why a run failed, as its page in the UI says first: the class and message of what the step raised."""
    assert not result.success, "the run succeeded"
    event = next(event for event in result.all_events if event.is_step_failure)
    error = event.step_failure_data.error
    while error.cls_name == "DagsterExecutionStepExecutionError" and error.cause is not None:
        error = error.cause
    return error.message.strip()


def plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Dagster metadata as plain values; tables as lists of dicts."""
    return {name: _plain(value) for name, value in metadata.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dg.TableMetadataValue):
        return [dict(record.data) for record in value.records]
    return value.value


def text_of(value: Any) -> str:
    """All of a plain value as one text, to look for words in."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
