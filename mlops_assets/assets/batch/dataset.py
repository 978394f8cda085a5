"""`dataset`: a batch read, validated and stored, or rejected with the reason."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import dagster as dg

from mlops_assets.assets.batch.completeness import outstanding
from mlops_assets.assets.batch.expectations import suite_of
from mlops_assets.assets.batch.intake import judged_columns, mark_of, store_rejected
from mlops_assets.assets.batch.upstream_source import upstream_deps
from mlops_assets.assets.batch.validation import checks_known_at, validated
from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.keys import JUDGED_BY, MARK, asset_key, check_specs
from mlops_assets.assets.shared.metadata import check_results, column_schema, metadata, observation, preview
from mlops_assets.assets.shared.model_asset import Asset, model_asset
from mlops_assets.checks import CheckOutcome, reasons
from mlops_assets.declaration import Declaration
from mlops_assets.disk_frame import DiskFrame
from mlops_assets.errors import StaleRecordError
from mlops_assets.lazy import pd
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.column_kinds import (
    kinds_for,
    learnt_anew,
    record_kinds,
    stored_dataset,
)
from mlops_assets.records.frames import DATASET
from mlops_assets.records.inferred_suites import inferred_version
from mlops_assets.records.labels import refresh_labels
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.reports import ReportKind
from mlops_assets.resources import GreatExpectations, Storage
from mlops_assets.resources.judges import judged_by
from mlops_assets.sources.data_version import data_version
from mlops_assets.validation.repeated import distinct_values
from mlops_assets.validation.schema import schema_of

CONTRACT = {
    "readable": "The source gives the batch within its limits of size, rows and encoding.",
    "row_count": "The batch has rows.",
    "columns": "All columns of the first accepted batch are there.",
    "dtypes": "Each column holds the kind of values that it held in the first accepted batch.",
    "non_null": "No column is empty.",
    "finite": "No number is infinite.",
    "key_unique": "No key occurs twice.",
    "time_valid": "Each row has a time, and none lies in the future.",
}
"""The checks that come first: without rows, Great Expectations passes vacuously."""
FIRST_LOOK = {"first_look": "In the first batch, an index is not a feature and numbers are not read as text."}
KNOWN_AT = {"known_at": "Labels have a time since which they are known, and it is not in the future."}


def dataset_asset(model: Declaration) -> Asset:
    """Return the asset `dataset`: the rows of each batch as parquet; its checks gate everything downstream."""
    suite = suite_of(model)
    key = asset_key(model.name, "dataset")

    @model_asset(
        model,
        "dataset",
        kinds={"pandas", "parquet"},
        code_version=suite.version,
        deps=upstream_deps(model.source),
        description=f"Batches of {model.name}, validated. {model.source.describe()}",
        check_specs=[
            *check_specs(model.name, "dataset", {**CONTRACT, **(KNOWN_AT if checks_known_at(model) else {})}),
            *check_specs(model.name, "dataset", FIRST_LOOK, blocking=False),
            *suite.check_specs,
        ],
        output_required=False,
    )
    def dataset(
        context: dg.AssetExecutionContext, mlops_storage: Storage, great_expectations: GreatExpectations
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        records = ModelRecords(model, mlops_storage)
        batch = context.partition_key
        frame, outcomes = validated(records, suite, batch, great_expectations, context)
        accepted, outcomes = _take_in(records, frame, outcomes, context)
        yield from check_results(outcomes, key)
        if faults := reasons(outcomes):
            _reject(records, frame, faults, context)
            raise dg.Failure(f"{model.name}: batch {batch!r} is rejected. " + "; ".join(faults), allow_retries=False)
        if accepted is not None:
            yield accepted
            suite.infer(records, context.log)

    return dataset


def _take_in(
    records: ModelRecords,
    frame: "pd.DataFrame | DiskFrame | None",
    outcomes: list[CheckOutcome],
    context: dg.AssetExecutionContext,
) -> tuple[dg.MaterializeResult[Any] | None, list[CheckOutcome]]:
    """Store and record a batch that passed; return what to show of it, None if its rows are not used.

    Also return the outcomes: "dtypes" fails if another batch, accepted meanwhile, holds other kinds.
    """
    if frame is None or reasons(outcomes):
        return None, outcomes
    record = _record(records, frame, context)
    if _is_duplicate(records, record, context) or _is_unchanged(records, record, context):
        return None, outcomes
    if conflicts := _accept(records, record, frame):
        message = f"another batch was accepted at the same time: {'; '.join(conflicts)}"
        conflict = CheckOutcome("dtypes", False, message)
        return None, [conflict if outcome.name == "dtypes" else outcome for outcome in outcomes]
    if _is_duplicate(records, record, context):  # another run recorded the same rows meanwhile
        return None, outcomes
    if records.model.outcomes:
        refresh_labels(records, [record.batch])
    return _shown(records, record, frame, outcomes), outcomes


def _record(records: ModelRecords, frame: "pd.DataFrame | DiskFrame", context: dg.AssetExecutionContext) -> BatchRecord:
    """Return the record of the batch as an accepted one."""
    model, batch = records.model, context.partition_key
    times = frame[model.time] if model.time else None
    return BatchRecord(
        batch,
        "accepted",
        context.run.run_id,
        version=data_version(frame),
        rows=len(frame),
        labelled=0 if model.outcomes else int(frame[model.target].notna().sum()),
        start=None if times is None else times.min().isoformat(),
        end=None if times is None else times.max().isoformat(),
        mark=mark_of(context, records.batches.get(batch)),
    )


def _reject(
    records: ModelRecords,
    frame: "pd.DataFrame | DiskFrame | None",
    faults: list[str],
    context: dg.AssetExecutionContext,
) -> None:
    version, rows = store_rejected(records, "rejected", frame, faults, context)
    mark = mark_of(context, records.batches.get(context.partition_key))
    # Use the sensor's own value if a sensor asked: with a newer one the sensor would request the batch for ever.
    judges = context.run.tags.get(JUDGED_BY) or judged_by(
        records.model, learnt_anew(records), inferred_version(records)
    )
    record = BatchRecord(context.partition_key, "rejected", context.run.run_id, version=version, rows=rows, mark=mark)
    records.batches.put(replace(record, reasons=tuple(faults), judged_by=judges))


def _is_unchanged(records: ModelRecords, record: BatchRecord, context: dg.AssetExecutionContext) -> bool:
    """Return whether a sensor requested rows that are fully processed; if so, record the new mark of the source."""
    before = records.batches.get(record.batch)
    if MARK not in context.run.tags or before is None:
        return False
    if (before.status, before.version) != ("accepted", record.version):
        return False
    predictions, drift, performance = (records.reports.get(kind, record.batch) for kind in get_args(ReportKind))
    if outstanding(before, records.model.features_version, predictions, drift, performance):
        return False
    context.log.info(f"batch {record.batch!r} holds the rows that were taken in before: nothing is left to do for it")
    records.batches.put(replace(before, mark=record.mark))
    return True


def _is_duplicate(records: ModelRecords, record: BatchRecord, context: dg.AssetExecutionContext) -> bool:
    """Return whether another batch has these rows; if so, record the duplicate, whose rows are not used again."""
    other = records.batches.same_rows(record.batch, str(record.version))
    if other is None:
        return False
    reason = f"the same rows as batch {other!r}, taken in before: counted once"
    records.batches.put(replace(record, status="duplicate", labelled=0, start=None, end=None, reasons=(reason,)))
    context.log.info(f"batch {record.batch!r} is left out: {reason}")
    values = {"duplicate_of": other, "left_out_because": reason, "rows": record.rows}
    context.log_event(observation(context.asset_key, values, reason, record.batch))
    return True


def _accept(records: ModelRecords, record: BatchRecord, frame: "pd.DataFrame | DiskFrame") -> list[str]:
    """Store the rows; record them and their kinds, or return conflicts with a batch accepted since the validation."""
    model, batch = records.model, record.batch
    records.keep_frame(DATASET, batch, str(record.version), frame)
    before = records.batches.get(batch)
    if before is not None and before.version == record.version:  # the same rows, validated anew, keep their features
        record = replace(record, features=before.features, features_code=before.features_code)
    while True:
        learnt, revision = kinds_for(records, batch, DATASET, stored_dataset(records))
        schema = judged_columns(model, schema_of(frame, batch))
        if learnt is not None:
            learnt = judged_columns(model, learnt)
            if conflicts := learnt.conflicts(schema):
                return conflicts
            schema = learnt.merged(schema)
        try:
            with records.transaction() as transaction:
                records.of(BatchRecord).inside(transaction).put(record.batch, record)
                record_kinds(records, DATASET, schema, revision, transaction)
            return []
        except StaleRecordError:  # another batch changed the kinds meanwhile: check this batch against them
            continue


def _shown(
    records: ModelRecords, record: BatchRecord, frame: "pd.DataFrame | DiskFrame", outcomes: list[CheckOutcome]
) -> dg.MaterializeResult[Any]:
    version = str(record.version)
    place = records.storage.frame_place(records.name, "dataset", record.batch, version)
    hints = [outcome.message for outcome in outcomes if outcome.name in FIRST_LOOK and not outcome.passed]
    values = {"rows": record.rows, "labelled_rows": record.labelled, "from": record.start, "to": record.end}
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version),
        metadata={
            **metadata({**values, "columns": _columns(frame), "hints": "\n".join(hints) or None}),
            **drawn("preview", lambda: preview(frame.head())),
            "path": dg.MetadataValue.path(place),
            "dagster/row_count": len(frame),
            "dagster/column_schema": column_schema(frame, _roles(records.model)),
        },
    )


def _roles(model: Declaration) -> dict[str, str]:
    """Return the roles of the columns that are not plain features."""
    roles = {name: "dropped: never a feature" for name in model.drop}
    roles |= {name: "key: identifies the row" for name in model.key}
    if model.group:
        roles[model.group] = "group: its rows are compared together"
    if model.time:
        roles[model.time] = "time: orders the rows"
    return roles | {model.target: "target: what is predicted"}


def _columns(frame: "pd.DataFrame | DiskFrame") -> list[dict[str, Any]]:
    """Return a row of figures for each column."""
    return [
        {
            "column": str(name),
            "type": str(column.dtype),
            "missing": float(column.isna().mean()),
            "distinct": distinct_values(column),
            "mean": float(column.mean()) if column.dtype.kind in "iuf" else None,
        }
        for name, column in ((name, frame[name]) for name in frame.columns)
    ]
