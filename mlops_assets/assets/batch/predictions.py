"""`predictions`: a batch scored by the champion, stamped with its version."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg

from mlops_assets.assets.batch.report import no_champion, record_report
from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.engine import Used, engine_of, resource_keys
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.assets.shared.metadata import column_schema, metadata, preview, version_link
from mlops_assets.assets.shared.model_asset import Asset, model_asset
from mlops_assets.declaration import Declaration
from mlops_assets.disk_frame import DiskFrame
from mlops_assets.lazy import pd
from mlops_assets.modelling.engine import Engine
from mlops_assets.modelling.in_order import in_order
from mlops_assets.modelling.scoring import score
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.frames import FEATURES, PREDICTIONS
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import about_chunks, read_batch
from mlops_assets.resources import MlflowRegistry, Storage
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.sources.data_version import data_version

_COLUMNS = {
    "prediction": "the number or the class predicted",
    "score": "the number predicted, the probability of the positive class, or the greatest probability",
    "model_version": "the version in the registry that scored the row",
    "model_digest": "the first 12 hex digits of the SHA-256 of its files",
}


def predictions_asset(model: Declaration) -> Asset:
    """Return the asset `predictions`; the first champion also scores earlier batches that are newer than its data."""

    @model_asset(
        model,
        "predictions",
        kinds={"scikitlearn", "parquet"},
        code_version="1",
        deps=[asset_key(model.name, "features"), asset_key(model.name, "champion")],
        description=f"Batches scored by the champion of {model.name}, each row stamped with the version.",
        output_required=False,
        required_resource_keys=resource_keys(model, "mlops_storage", "mlflow_registry"),
    )
    def predictions(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        mlops_storage: Storage = context.resources.mlops_storage
        mlflow_registry: MlflowRegistry = context.resources.mlflow_registry
        records = ModelRecords(model, mlops_storage)
        record = records.batches.accepted(context.partition_key)
        champion = records.champion
        if champion is None:
            no_champion(context, records, "predictions", record)
            return
        fitted = mlflow_registry.load(champion, model.serialization, model.trusted_types)
        used = Used()
        frame, unseen = _scored(records, record, champion, fitted, context, used)
        version = data_version(frame)
        path = records.keep_frame(PREDICTIONS, record.batch, version, frame)
        figures, reason = {"rows": len(frame)}, f"{len(frame):,} rows"
        record_report(context, records, "predictions", record, champion.version, "scored", reason, figures)
        values = {
            "rows": len(frame),
            "model_version": champion.version,
            "mean_prediction": float(frame["score"].mean()) if "score" in frame.columns else None,
            "unseen_categories": _shares(unseen, len(frame)),
            **used.metadata(),
        }
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(version),
            metadata={
                **metadata(values),
                **drawn("preview", lambda: preview(frame.head().drop(columns=["model_version", "model_digest"]))),
                "mlflow_version": version_link(champion, mlflow_registry),
                "digest": champion.digest[:16],
                "path": dg.MetadataValue.path(path),
                "dagster/row_count": len(frame),
                "dagster/column_schema": column_schema(frame, _COLUMNS),
            },
        )

    return predictions


def _stamped(scores: "pd.DataFrame", about: "pd.DataFrame", champion: ModelVersion) -> "pd.DataFrame":
    """Return key, time and slices of each row with its prediction and the version that made it."""
    frame = about.reset_index(drop=True).assign(**{str(name): scores[name] for name in scores})
    return frame.assign(model_version=champion.version, model_digest=champion.digest[:12])


def _scored(
    records: ModelRecords,
    record: BatchRecord,
    champion: ModelVersion,
    fitted: object,
    context: dg.AssetExecutionContext,
    used: Used,
) -> "tuple[pd.DataFrame | DiskFrame, Counter[str]]":
    """Return the scored rows of a batch, and for each text column how many have a category that the model never saw.

    A batch that does not fit into memory is scored by the engine of the model, which `used` takes.
    """
    target, unseen = records.model.target, Counter[str]()
    large = records.large(FEATURES, record)
    if large is None:
        X, about = read_batch(records, record.batch, str(record.version), str(record.features))
        scores, new = score(fitted, X)
        return _stamped(scores, about.drop(columns=target, errors="ignore"), champion), Counter(new)

    def chunks(engine: Engine) -> "Iterator[pd.DataFrame]":
        scored = in_order(engine, score, fitted, large.chunks())
        for (scores, new), about in zip(scored, about_chunks(records, record), strict=True):
            unseen.update(new)
            yield _stamped(scores, about.drop(columns=target, errors="ignore"), champion)

    with engine_of(records.model, context, used) as engine:
        return DiskFrame.of_chunks(chunks(engine)), unseen


def _shares(unseen: "Counter[str]", rows: int) -> list[dict[str, object]] | None:
    return [{"feature": name, "unseen share": count / rows} for name, count in unseen.items() if count] or None
