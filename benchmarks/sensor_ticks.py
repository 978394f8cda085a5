"""What a tick of each sensor costs over many models of which nothing is new: seconds of processor, queries of records.

`python benchmarks/sensor_ticks.py [--models 500] [--batches 20] [--database URL]`. Each model has a folder of its own,
batches that are complete and a champion. The first tick reads all records, the next three find that nothing changed;
before the fifth and the sixth a file has landed and a batch was recorded again (the fifth imports MLflow).
"""

import argparse
import dataclasses
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import sqlalchemy as sa

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

from mlops_assets import Folder, ModelPipeline  # noqa: E402
from mlops_assets.modelling.manifest import BatchInfo, Manifest  # noqa: E402
from mlops_assets.records.batches import BatchRecord  # noqa: E402
from mlops_assets.records.manifests import TRAINING_SET  # noqa: E402
from mlops_assets.records.model_records import ModelRecords  # noqa: E402
from mlops_assets.records.reports import BatchReport  # noqa: E402
from mlops_assets.records.trainings import TrainingRecord  # noqa: E402
from mlops_assets.records.typed import store_of  # noqa: E402
from mlops_assets.resources import Alerts, BatchFiles, GreatExpectations, MlflowRegistry, Storage  # noqa: E402
from mlops_assets.resources.mlflow.model_version import ModelVersion  # noqa: E402
from mlops_assets.sensors import new_data_sensor, retraining_sensor  # noqa: E402
from support.ledger_rows import promote  # noqa: E402

AT = "2024-05-01T10:00:00+00:00"


def pipeline(root: Path, number: int) -> ModelPipeline:
    name = f"model_{number:04}"
    return ModelPipeline(
        name=name,
        source=Folder(str(root / name / "*.csv")),
        target="y",
        estimator="sklearn.linear_model.Ridge",
        holdout=1,
    )


def take_in(records: ModelRecords, folder: Path, batches: int) -> Manifest:
    """Land batches, record them as complete, and return the training set of all of them."""
    folder.mkdir(parents=True)
    for number in range(batches):
        (folder / f"b{number:04}.csv").write_text(f"x,y\n{number},1\n")
    infos, rows = [], {"rows": 100, "labelled": 100}
    for number, (batch, mark) in enumerate(records.model.source.look({}).seen.items()):
        features = {"features": "f", "features_code": records.model.features_version}
        record = BatchRecord(batch, "accepted", "run", version=f"v{number}", mark=mark, **rows, **features)
        records.batches.put(record)
        about = {"batch": batch, "identity": record.identity, "model_version": 1, "run_id": "run", "at": AT}
        for kind, verdict in (("predictions", "scored"), ("drift", "no drift"), ("performance", "no decay")):
            records.reports.put(kind, BatchReport(verdict=verdict, reason="", **about))
        infos.append(BatchInfo(key=batch, version=record.identity, **rows))
    frame = pd.DataFrame({"x": np.arange(100.0)})
    records.write_frame("features", infos[0].key, "f", frame)  # a tick asks how much memory a row takes
    return Manifest(train=tuple(infos[:-1]), holdout=tuple(infos[-1:]))


def train(records: ModelRecords, manifest: Manifest) -> None:
    """Record the training and the promotion of a champion on a training set."""
    records.storage.write_document(records.name, TRAINING_SET, manifest.version, manifest.to_dict())
    versions = {"data_version": manifest.version, "declaration_version": records.model.training_version}
    about = {"version": 1, "run_id": "run"}
    champion = ModelVersion(
        model=records.name,
        digest="d" * 64,
        tags=versions,
        created=int(time.time() * 1000),
        source="source",
        **about,
    )
    promote(records.storage, champion, how="first", reason="first")
    outcome = {"status": "judged", "verdict": "promote", "reason": "first", "at": AT}
    records.trainings.put(TrainingRecord(**versions, **about, **outcome))


def change(records: ModelRecords, folder: Path) -> None:
    """Land one more file, and record the newest batch as it would be with other features."""
    (folder / f"c{time.time_ns()}.csv").write_text("x,y\n1,1\n")
    newest = next(iter(records.batches.all()))
    records.batches.put(dataclasses.replace(newest, features=f"f{time.time_ns()}"))


@contextmanager
def counted(storage: Storage) -> Iterator[list[str]]:
    """The statements that are sent to the database of records."""
    statements: list[str] = []

    def note(*of: Any) -> None:
        statements.append(of[2])

    engine = store_of(storage)._engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--database", default="", help="URL of an empty database of records; else SQLite")
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as place, dg.DagsterInstance.local_temp(place) as instance:
        measure(Path(place), instance, asked)


def measure(root: Path, instance: dg.DagsterInstance, asked: argparse.Namespace) -> None:
    storage = Storage(root=str(root / "storage"), database=asked.database)
    models = [pipeline(root / "landing", number) for number in range(asked.models)]
    for model in models:
        records = ModelRecords(model, storage)
        train(records, take_in(records, root / "landing" / model.name, asked.batches))
    resources = {
        "mlops_storage": storage,
        "mlops_batches": BatchFiles(root=storage.root, database=storage.database),
        "mlflow_registry": MlflowRegistry(tracking_uri=f"sqlite:///{root / 'mlflow.db'}"),
        "great_expectations": GreatExpectations(),
        "mlops_alerts": Alerts(),
    }
    defs = dg.Definitions.merge(*(model.build_defs() for model in models), dg.Definitions(resources=resources))
    repository = defs.get_repository_def()
    print(f"{asked.models} models, {asked.batches} batches each")
    print("sensor            tick  processor s  queries  requests")
    for name, sensor in {"new_data": new_data_sensor(), "retraining": retraining_sensor()}.items():
        store_of(storage).views.clear()
        cursor = None
        for tick in range(1, 7):
            if tick >= 5:
                change(ModelRecords(models[0], storage), root / "landing" / models[0].name)
            wanted = {key: resources[key] for key in sensor.required_resource_keys}
            context = dg.build_sensor_context(
                instance=instance, cursor=cursor, repository_def=repository, resources=wanted
            )
            with counted(storage) as statements:
                begin = time.process_time()
                result = sensor.evaluate_tick(context)
                seconds = time.process_time() - begin
            cursor = result.cursor
            queries = sum(each.startswith("SELECT") for each in statements)
            print(f"{name:16} {tick:5} {seconds:12.2f} {queries:8} {len(result.run_requests or []):9}")


if __name__ == "__main__":
    main()
