"""What a tick of each sensor costs over many models of which nothing is new: seconds of processor, queries of records.

`python benchmarks/sensor_ticks.py [--models 500] [--batches 20]`. Each model has a folder of its own, batches that are
complete and a champion. The first tick reads all records, the others find that nothing changed.
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa

from mlops_assets import Folder, ModelPipeline
from mlops_assets.modelling.manifest import BatchInfo, Manifest
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.records.reports import BatchReport, BatchReports
from mlops_assets.records.rows import TRAINING_SET
from mlops_assets.records.trainings import TrainingLedger, TrainingRecord
from mlops_assets.records.typed import store_of
from mlops_assets.resources import Alerts, BatchFiles, GreatExpectations, MlflowRegistry, Storage
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.sensors import new_data_sensor, retraining_sensor

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


def lived(model: ModelPipeline, storage: Storage, folder: Path, batches: int) -> None:
    """The records that a model leaves which was trained on all of its batches but the newest."""
    name, ledger, reports = model.name, BatchLedger(storage, model.name), BatchReports(storage, model.name)
    folder.mkdir(parents=True)
    for number in range(batches):
        (folder / f"b{number:04}.csv").write_text(f"x,y\n{number},1\n")
    marks = model.source.look({}).seen
    for number in range(batches):
        batch = f"b{number:04}"
        ledger.put(
            BatchRecord(
                batch,
                "accepted",
                "run",
                version=f"v{number}",
                rows=100,
                labelled=100,
                mark=marks[batch],
                features="f",
                features_code=model.features_version,
            )
        )
        for kind, verdict in (("predictions", "scored"), ("drift", "no drift"), ("performance", "no decay")):
            reports.put(
                kind,
                BatchReport(
                    batch=batch,
                    identity=f"v{number}-f",
                    model_version=1,
                    verdict=verdict,
                    reason="",
                    run_id="run",
                    at=AT,
                ),
            )  # type: ignore[arg-type]
    infos = tuple(
        BatchInfo(key=f"b{number:04}", version=f"v{number}-f", rows=100, labelled=100) for number in range(batches)
    )
    manifest = Manifest(train=infos[:-1], holdout=infos[-1:])
    storage.write_document(name, TRAINING_SET, manifest.version, manifest.to_dict())
    tags = {"data_version": manifest.version, "declaration_version": model.training_version}
    version = ModelVersion(
        model=name,
        version=1,
        digest="d" * 64,
        run_id="run",
        tags=tags,
        created=int(time.time() * 1000),
        source="source",
    )
    promotions = PromotionLedger(storage, name)
    promotions.intend(
        version,
        judged_against=0,
        how="first",
        by="mlops_assets",
        reason="first",
        dagster_run_id="run",
        evidence="",
        compared_with=None,
        run_is_over=str,
    )
    promotions.finish(1)
    TrainingLedger(storage, name).put(
        TrainingRecord(
            data_version=manifest.version,
            declaration_version=model.training_version,
            status="judged",
            run_id="run",
            at=AT,
            version=1,
            verdict="promote",
            reason="first",
        )
    )


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
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as place, dg.DagsterInstance.local_temp(place) as instance:
        measure(Path(place), instance, asked.models, asked.batches)


def measure(root: Path, instance: dg.DagsterInstance, count: int, batches: int) -> None:
    storage = Storage(root=str(root / "storage"))
    models = [pipeline(root / "landing", number) for number in range(count)]
    for model in models:
        lived(model, storage, root / "landing" / model.name, batches)
    resources = {
        "mlops_storage": storage,
        "mlops_batches": BatchFiles(root=storage.root),
        "mlflow_registry": MlflowRegistry(tracking_uri=f"sqlite:///{root / 'mlflow.db'}"),
        "great_expectations": GreatExpectations(),
        "mlops_alerts": Alerts(),
    }
    defs = dg.Definitions.merge(*(model.build_defs() for model in models), dg.Definitions(resources=resources))
    repository = defs.get_repository_def()
    print(f"{count} models, {batches} batches each")
    print("sensor            tick  processor s  queries  requests")
    for name, sensor in {"new_data": new_data_sensor(), "retraining": retraining_sensor()}.items():
        store_of(storage).views.clear()
        cursor = None
        for tick in range(1, 5):
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
