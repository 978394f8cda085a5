"""`dataset`: a batch read, validated and stored, or rejected with the reason."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg

from mlops_assets.assets.batch.completeness import outstanding
from mlops_assets.assets.batch.expectations import Suite, suite_of
from mlops_assets.assets.batch.intake import as_texts, judged_columns
from mlops_assets.assets.batch.upstream_source import upstream_deps
from mlops_assets.assets.batch.validation import says_known_at, validated
from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.keys import JUDGED_BY, MARK, asset_key, check_specs, model_asset
from mlops_assets.assets.shared.metadata import check_result, column_schema, metadata, preview
from mlops_assets.checks import CheckOutcome, reasons
from mlops_assets.declaration import Declaration
from mlops_assets.errors import StaleRecordError
from mlops_assets.lazy import pd
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.column_kinds import (
    DATASET,
    kinds_and_revision,
    learnt_anew,
    record_kinds_in,
    stored_dataset,
)
from mlops_assets.records.frames import keep_frame
from mlops_assets.records.labels import refresh_labels
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.typed import store_of
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.judges import judged_by
from mlops_assets.resources.storage import Storage
from mlops_assets.sources.data_version import data_version
from mlops_assets.text import inert
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
KNOWN_AT = {"known_at": "Labels say since when they are known, and none is known only in the future."}


def dataset_asset(model: Declaration) -> dg.AssetsDefinition:
    """Return the asset `dataset`: the rows of each batch as parquet; its checks gate everything downstream."""
    suite = suite_of(model)
    key = asset_key(model.name, "dataset")

    @model_asset(
        model,
        "dataset",
        kinds={"pandas", "parquet"},
        code_version=suite.version,
        batch=True,
        deps=upstream_deps(model.source),
        description=f"Batches of {model.name}, validated. {model.source.describe()}",
        check_specs=[
            *check_specs(model.name, "dataset", {**CONTRACT, **(KNOWN_AT if says_known_at(model) else {})}),
            *check_specs(model.name, "dataset", FIRST_LOOK, blocking=False),
            *_suite_specs(model.name, suite),
        ],
        output_required=False,
    )
    def dataset(
        context: dg.AssetExecutionContext, mlops_storage: Storage, great_expectations: GreatExpectations
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        records = ModelRecords(model, mlops_storage)
        batch = context.partition_key
        frame, outcomes = validated(records, suite, batch, great_expectations, context)
        accepted, outcomes = _take_in(records, batch, frame, outcomes, context)
        yield from (check_result(outcome, key) for outcome in outcomes)
        if refused := reasons(outcomes):
            _reject(records, batch, frame, refused, context)
            raise dg.Failure(f"{model.name}: batch {batch!r} is rejected. " + "; ".join(refused), allow_retries=False)
        if accepted is not None:
            yield accepted
            suite.infer(records, context.log)

    return dataset


def _take_in(
    records: ModelRecords,
    batch: str,
    frame: "pd.DataFrame | None",
    outcomes: list[CheckOutcome],
    context: dg.AssetExecutionContext,
) -> tuple[dg.MaterializeResult[Any] | None, list[CheckOutcome]]:
    """Store and record a batch that passed; return what to show of it, None if its rows are not used.

    Also return the outcomes: "dtypes" fails if another batch, accepted meanwhile, holds other kinds.
    """

    if frame is None or reasons(outcomes):
        return None, outcomes
    version, ledger = data_version(frame), records.batches
    if _is_duplicate(batch, version, len(frame), ledger, context):
        return None, outcomes
    if _nothing_new(records, batch, version, context):
        return None, outcomes
    conflicts = _accept(records, batch, version, frame, context)
    if conflicts:
        said = f"another batch was accepted at the same time: {'; '.join(conflicts)}"
        conflict = CheckOutcome("dtypes", False, said)
        return None, [conflict if outcome.name == "dtypes" else outcome for outcome in outcomes]
    if _is_duplicate(batch, version, len(frame), ledger, context):  # another run recorded the same rows meanwhile
        return None, outcomes
    if records.model.outcomes:
        refresh_labels(records, [batch])
    hints = [each.message for each in outcomes if each.name in FIRST_LOOK and not each.passed]
    return _shown(records, batch, version, frame, hints), outcomes


def _suite_specs(model: str, suite: Suite) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(name, asset=asset_key(model, "dataset"), description=inert(description), blocking=blocking)
        for name, description, blocking in suite.checks
    ]


def _reject(
    records: ModelRecords,
    batch: str,
    frame: "pd.DataFrame | None",
    refused: list[str],
    context: dg.AssetExecutionContext,
) -> None:
    """Record why the batch is rejected, and keep its rows apart for a person to look at."""

    rows, version = 0, None
    if frame is not None:
        rows, version = len(frame), data_version(frame)
        records.write_frame("rejected", batch, version, as_texts(frame))
    ledger = records.batches
    mark = _mark(context, ledger.get(batch))
    # Use the sensor's own value if a sensor asked: with a newer one the sensor would request the batch for ever.
    judges = context.run.tags.get(JUDGED_BY) or judged_by(records.model, learnt_anew(records))
    record = BatchRecord(
        batch, "rejected", context.run.run_id, version=version, rows=rows, reasons=tuple(refused), mark=mark
    )
    ledger.put(replace(record, judged_by=judges))
    # Checks show the newest batch only; the observation stays with the asset's events.
    shown = metadata({"rejected_because": "\n".join(refused), "rows": rows})
    context.log_event(dg.AssetObservation(context.asset_key, partition=batch, metadata=shown))


def _nothing_new(records: ModelRecords, batch: str, version: str, context: dg.AssetExecutionContext) -> bool:
    """Return whether a sensor requested rows that are fully processed; if so, record the new mark of the source."""
    ledger = records.batches
    before = ledger.get(batch)
    if MARK not in context.run.tags or before is None or not _taken_in(records, before, version):
        return False
    context.log.info(f"batch {batch!r} holds the rows that were taken in before: nothing is left to be done for it")
    ledger.put(replace(before, mark=_mark(context, before)))
    return True


def _is_duplicate(batch: str, version: str, rows: int, ledger: BatchLedger, context: dg.AssetExecutionContext) -> bool:
    """Return whether another batch has these rows; if so, record the duplicate, whose rows are not used again."""
    other = ledger.same_rows(batch, version)
    if other is None:
        return False
    reason = f"the same rows as batch {other!r}, taken in before: counted once"
    mark = _mark(context, ledger.get(batch))
    ledger.put(
        BatchRecord(batch, "duplicate", context.run.run_id, version=version, rows=rows, reasons=(reason,), mark=mark)
    )
    context.log.info(f"batch {batch!r} is left out: {reason}")
    shown = metadata({"duplicate_of": other, "left_out_because": reason, "rows": rows})
    context.log_event(
        dg.AssetObservation(context.asset_key, partition=batch, description=inert(reason), metadata=shown)
    )
    return True


def _accept(
    records: ModelRecords,
    batch: str,
    version: str,
    frame: "pd.DataFrame",
    context: dg.AssetExecutionContext,
) -> list[str]:
    """Store the rows; record them and their kinds, or return conflicts with a batch accepted since the validation."""

    model = records.model
    keep_frame(records.storage, model.name, "dataset", batch, version, frame)
    start, end = _span(model, frame)
    ledger = records.batches
    before = ledger.get(batch)
    record = BatchRecord(
        batch,
        "accepted",
        context.run.run_id,
        version=version,
        rows=len(frame),
        labelled=_labelled(model, frame),
        start=start,
        end=end,
    )
    record = replace(record, mark=_mark(context, before))
    if before is not None and before.version == version:  # the same rows, validated anew, keep their features
        record = replace(record, features=before.features, features_code=before.features_code)
    while True:
        read = stored_dataset(records)
        learnt, revision = kinds_and_revision(records, batch, DATASET, read)
        schema = judged_columns(model, schema_of(frame, batch))
        if learnt is not None:
            learnt = judged_columns(model, learnt)
            if conflicts := learnt.conflicts(schema):
                return conflicts
            schema = learnt.merged(schema)
        try:
            with store_of(records.storage).transaction() as transaction:
                ledger.put_in(transaction, record)
                record_kinds_in(transaction, records, DATASET, schema, expected=revision)
            return []
        except StaleRecordError:  # another batch changed the kinds meanwhile: check this batch against them
            continue


def _shown(
    records: ModelRecords, batch: str, version: str, frame: "pd.DataFrame", hints: list[str]
) -> dg.MaterializeResult[Any]:
    model = records.model
    start, end = _span(model, frame)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version),
        metadata={
            **metadata(_facts(frame, _labelled(model, frame), start, end)),
            **metadata({"hints": "\n".join(hints) or None}),
            **drawn("preview", lambda: preview(frame)),
            "path": dg.MetadataValue.path(records.storage.frame_path(model.name, "dataset", batch, version)),
            "dagster/row_count": len(frame),
            "dagster/column_schema": column_schema(frame, _roles(model)),
        },
    )


def _span(model: Declaration, frame: "pd.DataFrame") -> tuple[str | None, str | None]:
    """Return the first and the last time of the rows."""
    if not model.time:
        return None, None
    return frame[model.time].min().isoformat(), frame[model.time].max().isoformat()


def _labelled(model: Declaration, frame: "pd.DataFrame") -> int:
    return 0 if model.outcomes else int(frame[model.target].notna().sum())


def _taken_in(records: ModelRecords, record: BatchRecord, version: str) -> bool:
    """Return whether all that a run would do with these rows is done."""
    if (record.status, record.version) != ("accepted", version):
        return False
    reports = records.reports
    found = (reports.get("predictions", record.batch), reports.get("drift", record.batch))
    return not outstanding(record, records.model.features_version, *found, reports.get("performance", record.batch))


def _mark(context: dg.AssetExecutionContext, before: BatchRecord | None) -> str:
    """Return the mark of the source that the run was asked to read.

    A manual run has no mark: the recorded one stays, else the sensor would request the batch again at every tick.
    """
    return context.run.tags.get(MARK) or (before.mark if before is not None else "")


def _roles(model: Declaration) -> dict[str, str]:
    """Return the roles of the columns that are not plain features."""
    roles = {name: "dropped: never a feature" for name in model.drop}
    roles |= {name: "key: identifies the row" for name in model.key}
    if model.group:
        roles[model.group] = "group: its rows are compared together"
    if model.time:
        roles[model.time] = "time: orders the rows"
    return roles | {model.target: "target: what is predicted"}


def _facts(frame: "pd.DataFrame", labelled: int, start: str | None, end: str | None) -> dict[str, Any]:
    columns = [
        {
            "column": str(name),
            "type": str(column.dtype),
            "missing": float(column.isna().mean()),
            "distinct": int(column.nunique()),
            "mean": float(column.mean()) if column.dtype.kind in "iuf" else None,
        }
        for name, column in frame.items()
    ]
    return {"rows": len(frame), "labelled_rows": labelled, "from": start, "to": end, "columns": columns}
