"""`dataset`: a batch read, validated and stored, or rejected with the reason."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.assets.completeness import outstanding
from mlops_assets.assets.intake import as_texts, judged_columns, of_the_batch, unused
from mlops_assets.assets.keys import JUDGED_BY, MARK, asset_key, check_specs, model_asset
from mlops_assets.assets.metadata import check_result, column_schema, metadata, preview
from mlops_assets.assets.upstream_batches import read_batch, upstream_deps
from mlops_assets.checks import CheckOutcome, reasons
from mlops_assets.declaration import Declaration
from mlops_assets.resources.batch_ledger import BatchLedger, BatchRecord
from mlops_assets.resources.batch_reports import BatchReports
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.judges import judged_by
from mlops_assets.resources.storage import Storage
from mlops_assets.resources.suites import Suite, suite_of

if TYPE_CHECKING:
    import pandas as pd

    from mlops_assets.validation.schema import Schema

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
"""The checks that come first: Great Expectations passes vacuously where there are no rows."""
KNOWN_AT = {"known_at": "Labels say since when they are known, and none is known only in the future."}


def dataset_asset(model: Declaration) -> dg.AssetsDefinition:
    """The rows of each batch as parquet; its checks gate everything downstream."""
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
            *check_specs(model.name, "dataset", {**CONTRACT, **(KNOWN_AT if _says_known_at(model) else {})}),
            *_suite_specs(model.name, suite),
        ],
        output_required=False,
    )
    def dataset(
        context: dg.AssetExecutionContext, mlops_storage: Storage, great_expectations: GreatExpectations
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        from mlops_assets.sources.contents import data_version

        batch = context.partition_key
        frame, outcomes = _validated(model, suite, batch, mlops_storage, great_expectations, context)
        yield from (check_result(outcome, key) for outcome in outcomes)
        if refused := reasons(outcomes):
            _reject(model, batch, frame, refused, mlops_storage, context)
            raise dg.Failure(f"{model.name}: batch {batch!r} is rejected. " + "; ".join(refused), allow_retries=False)
        assert frame is not None  # a batch that could not be read has been refused
        version, ledger = data_version(frame), BatchLedger(mlops_storage, model.name)
        if _is_duplicate(batch, version, len(frame), ledger, context):
            return
        if _nothing_new(model, batch, version, mlops_storage, context):
            return
        accepted = _accept(model, batch, version, frame, mlops_storage, context)
        if _is_duplicate(batch, version, len(frame), ledger, context):  # another run wrote it since we looked
            return
        if model.outcomes:
            from mlops_assets.resources.labels import refresh_labels

            refresh_labels(model, mlops_storage, [batch])
        yield accepted
        suite.infer(ledger, mlops_storage, context.log)

    return dataset


def _says_known_at(model: Declaration) -> bool:
    """Whether the source itself, and not the outcomes, has the column `known_at`."""
    return model.known_at is not None and model.outcomes is None


def _suite_specs(model: str, suite: Suite) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(name, asset=asset_key(model, "dataset"), description=description, blocking=blocking)
        for name, description, blocking in suite.checks
    ]


def _validated(
    model: Declaration,
    suite: Suite,
    batch: str,
    storage: Storage,
    expectations: GreatExpectations,
    context: dg.AssetExecutionContext,
) -> "tuple[pd.DataFrame | None, list[CheckOutcome]]":
    """The batch (None where it cannot be read) and the outcome of each check that could be made."""
    from mlops_assets.validation.plain_columns import plain_columns, with_faults
    from mlops_assets.validation.schema import Schema
    from mlops_assets.validation.where import rows_of, saying_where

    def rows() -> "tuple[pd.DataFrame, list[str]]":
        read = rows_of(read_batch(model.source, batch, context), model.where)
        if model.outcomes is not None and model.target in read.columns:
            context.log.info(f"column {model.target!r} of the source is left out: labels come from `outcomes` alone")
            read = read.drop(columns=model.target)
        return plain_columns(read, unused(model))

    found = of_the_batch(rows)
    if isinstance(found, CheckOutcome):
        return None, [found]
    frame, faults = found
    recorded = storage.read_json(model.name, "schema")
    schema = judged_columns(model, Schema.from_dict(recorded)) if recorded else None
    judged = of_the_batch(lambda: _judged(model, frame, schema))
    if isinstance(judged, CheckOutcome):
        return frame, [judged]
    frame, contract = judged
    contract = saying_where(with_faults(contract, faults), model.where)
    readable = CheckOutcome("readable", True, f"{len(frame):,} rows x {frame.shape[1]} columns")
    return frame, [readable, *contract, *suite.validate(frame, expectations)]


def _judged(
    model: Declaration, frame: "pd.DataFrame", schema: "Schema | None"
) -> "tuple[pd.DataFrame, list[CheckOutcome]]":
    """The rows in the kinds of earlier batches, and the outcomes of the contract."""
    import pandas as pd

    from mlops_assets.validation.contract import contract_checks
    from mlops_assets.validation.schema import normalise

    frame = normalise(frame, schema)
    contract = contract_checks(
        frame.loc[:, [name not in unused(model) for name in frame.columns]],
        schema,
        target=None if model.outcomes else model.target,
        key=model.key,
        time=model.time,
        extra_columns=model.extra_columns,
        now=pd.Timestamp.now("UTC"),
    )
    return frame, [*contract, _known_at(model, frame)] if _says_known_at(model) else contract


def _known_at(model: Declaration, frame: "pd.DataFrame") -> CheckOutcome:
    import pandas as pd

    from mlops_assets.resources.outcome_frames import known_at_check

    if model.known_at not in frame.columns:
        found = ", ".join(str(name) for name in frame.columns[:20])
        return CheckOutcome("known_at", False, f"there is no column {model.known_at!r} (columns: {found})")
    return known_at_check(frame, model.known_at, pd.Timestamp.now("UTC"))


def _reject(
    model: Declaration,
    batch: str,
    frame: "pd.DataFrame | None",
    refused: list[str],
    storage: Storage,
    context: dg.AssetExecutionContext,
) -> None:
    """Record why, and keep the rows apart for a person to look at."""
    from mlops_assets.sources.contents import data_version

    rows, version = 0, None
    if frame is not None:
        rows, version = len(frame), data_version(frame)
        storage.write_frame(model.name, "rejected", batch, version, as_texts(frame))
    ledger = BatchLedger(storage, model.name)
    mark = _mark(context, ledger.get(batch))
    # As the sensor knew it, where a sensor asked: it would ask for ever for what its own process does not know yet.
    judges = context.run.tags.get(JUDGED_BY) or judged_by(model)
    record = BatchRecord(batch, "rejected", context.run_id, version, rows, reasons=tuple(refused), mark=mark)
    ledger.put(replace(record, judged_by=judges))
    # Checks show the newest batch only; this stays with the asset's events.
    shown = metadata({"rejected_because": "\n".join(refused), "rows": rows})
    context.log_event(dg.AssetObservation(context.asset_key, partition=batch, metadata=shown))


def _nothing_new(
    model: Declaration, batch: str, version: str, storage: Storage, context: dg.AssetExecutionContext
) -> bool:
    """Whether a sensor asked for rows of which all has been done: then only the source's mark is new."""
    ledger = BatchLedger(storage, model.name)
    before = ledger.get(batch)
    if MARK not in context.run.tags or before is None or not _taken_in(model, before, version, storage):
        return False
    context.log.info(f"batch {batch!r} holds the rows that were taken in before: nothing is left to be done for it")
    ledger.put(replace(before, mark=_mark(context, before)))
    return True


def _is_duplicate(batch: str, version: str, rows: int, ledger: BatchLedger, context: dg.AssetExecutionContext) -> bool:
    """Whether these rows are another batch's; then that is recorded, and they are not used a second time."""
    other = ledger.same_rows(batch, version)
    if other is None:
        return False
    reason = f"the same rows as batch {other!r}, taken in before: counted once"
    mark = _mark(context, ledger.get(batch))
    ledger.put(BatchRecord(batch, "duplicate", context.run_id, version, rows, reasons=(reason,), mark=mark))
    context.log.info(f"batch {batch!r} is left out: {reason}")
    shown = metadata({"duplicate_of": other, "left_out_because": reason, "rows": rows})
    context.log_event(dg.AssetObservation(context.asset_key, partition=batch, description=reason, metadata=shown))
    return True


def _accept(
    model: Declaration,
    batch: str,
    version: str,
    frame: "pd.DataFrame",
    storage: Storage,
    context: dg.AssetExecutionContext,
) -> dg.MaterializeResult[Any]:
    """Store the rows and record them; what is to be shown of them."""
    from mlops_assets.validation.schema import Schema, schema_of

    recorded = storage.read_json(model.name, "schema")
    schema = judged_columns(model, schema_of(frame))
    schema = judged_columns(model, Schema.from_dict(recorded)).merged(schema) if recorded else schema
    storage.write_json(model.name, "schema", value=schema.to_dict())
    path = storage.write_frame(model.name, "dataset", batch, version, frame)
    start, end = (None, None)
    if model.time:
        start, end = frame[model.time].min().isoformat(), frame[model.time].max().isoformat()
    labelled = 0 if model.outcomes else int(frame[model.target].notna().sum())
    ledger = BatchLedger(storage, model.name)
    before = ledger.get(batch)
    mark = _mark(context, before)
    record = BatchRecord(batch, "accepted", context.run_id, version, len(frame), labelled, start, end, mark=mark)
    if before is not None and before.version == version:  # the same rows, validated anew, keep their features
        record = replace(record, features=before.features, features_code=before.features_code)
    ledger.put(record)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version),
        metadata={
            **metadata(_facts(frame, labelled, start, end)),
            "preview": preview(frame),
            "path": dg.MetadataValue.path(path),
            "dagster/row_count": len(frame),
            "dagster/column_schema": column_schema(frame, _roles(model)),
        },
    )


def _taken_in(model: Declaration, record: BatchRecord, version: str, storage: Storage) -> bool:
    """Whether all that a run would do with these rows has been done."""
    if (record.status, record.version) != ("accepted", version):
        return False
    reports = BatchReports(storage, model.name)
    found = (reports.get("predictions", record.batch), reports.get("drift", record.batch))
    return not outstanding(record, model.features_version, *found, reports.get("performance", record.batch))


def _mark(context: dg.AssetExecutionContext, before: BatchRecord | None) -> str:
    """The state of the source that the run was asked to read.

    A run by hand names none: the last one stays, else the sensor would request the batch again at every tick.
    """
    return context.run.tags.get(MARK) or (before.mark if before is not None else "")


def _roles(model: Declaration) -> dict[str, str]:
    """What the columns are that are not plain features."""
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
