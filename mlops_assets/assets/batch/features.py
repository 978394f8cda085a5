"""`features`: the user's function over a batch and its history, the same for training and scoring."""

from collections.abc import Iterator
from typing import Any, TypeVar

import dagster as dg

from mlops_assets.assets.batch.feature_times import times_returned
from mlops_assets.assets.batch.large_features import compute_by_chunk
from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.keys import asset_key, check_specs
from mlops_assets.assets.shared.metadata import check_results, column_schema, metadata, preview, same_columns
from mlops_assets.assets.shared.model_asset import Asset, model_asset
from mlops_assets.checks import CheckOutcome, reasons
from mlops_assets.declaration import Declaration
from mlops_assets.disk_frame import LargeFrame, StoredFrame, without
from mlops_assets.lazy import pd
from mlops_assets.modelling.features import compute, looks_ahead
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.column_kinds import kinds_for, of_features, record_kinds, stored_features
from mlops_assets.records.frames import DATASET, FEATURES
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.storage import Storage
from mlops_assets.sources.data_version import data_version
from mlops_assets.sources.times import parse_times
from mlops_assets.text import listed
from mlops_assets.validation.schema import Schema, schema_of

AnyFrame = TypeVar("AnyFrame", "pd.DataFrame", "pd.DataFrame | LargeFrame")

CHECKS = {
    "feature_columns": "The columns and kinds of values are those of the first batch of this declaration.",
    "no_future_leak": "No feature changes when later rows, or the row's own label, are not known yet.",
}


def features_asset(model: Declaration) -> Asset:
    """Return the asset `features`: one row of features for each row of a batch."""
    key = asset_key(model.name, "features")

    @model_asset(
        model,
        "features",
        kinds={"pandas", "parquet"},
        code_version=model.features_version,
        deps=[asset_key(model.name, "dataset")],
        description=f"Features of {model.name}: {_described(model)}.",
        check_specs=check_specs(model.name, "features", CHECKS),
    )
    def features(
        context: dg.AssetExecutionContext, mlops_storage: Storage
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        records = ModelRecords(model, mlops_storage)
        record = records.batches.accepted(context.partition_key)
        large = records.large(DATASET, record)
        batch = records.dataset(record) if large is None else large
        history = earlier_rows(records, batch, record, records.batches)
        computed = computed_features(model, batch, history)
        learnt = learnt_kinds(records, record.batch)
        table = known_features(model, computed, learnt)
        outcomes = [
            _columns(records, record.batch, table, learnt, sorted({*computed.columns} - {*table.columns})),
            _leak(model, batch, history),
        ]
        yield from check_results(outcomes, key)
        if faults := reasons(outcomes):
            problem = f"{model.name}: features of batch {record.batch!r}: {'; '.join(faults)}"
            raise dg.Failure(problem, allow_retries=False)
        version = data_version(table)
        path = records.keep_frame(FEATURES, record.batch, version, table)
        records.batches.put_features(record, version, model.features_version)
        upstream = {str(name): asset_key(model.name, "dataset") for name in batch.columns}
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(version),
            metadata={
                **metadata({"rows": len(table), "features": table.shape[1], "history_rows": len(history)}),
                **drawn("preview", lambda: preview(table.head())),
                "path": dg.MetadataValue.path(path),
                "dagster/row_count": len(table),
                "dagster/column_schema": column_schema(table),
                "dagster/column_lineage": same_columns(table, upstream),
            },
        )

    return features


def computed_features(
    model: Declaration, batch: "pd.DataFrame | StoredFrame", history: "pd.DataFrame"
) -> "pd.DataFrame | LargeFrame":
    """Return the features of a batch, in memory or, where the batch does not fit, by chunk."""
    if isinstance(batch, StoredFrame):
        return compute_by_chunk(model, batch, history)
    return compute(model.features, batch, history, model.not_features)


def _described(model: Declaration) -> str:
    if model.features is None:
        return "the columns of the dataset less target, key, time and dropped columns"
    name = f"{model.features.__module__}.{model.features.__qualname__}"
    return f"{name} over the batch" + (f" and {model.lookback} of earlier rows" if model.lookback else "")


def earlier_rows(
    records: ModelRecords, batch: "pd.DataFrame | LargeFrame", record: BatchRecord, ledger: BatchLedger
) -> "pd.DataFrame":
    """Return rows of accepted batches within the lookback, earlier than the first row of this batch."""
    model = records.model
    if not (model.lookback and model.time):
        return batch.head(0)
    first = batch[model.time].min()
    since = first - pd.Timedelta(model.lookback)
    earlier = [
        _recent(records, other, since)
        for other in ledger.all()
        if other.batch != record.batch
        and other.status == "accepted"
        and pd.Timestamp(str(other.end)) >= since
        and pd.Timestamp(str(other.start)) < first
    ]
    if not earlier:
        return batch.head(0)
    rows = pd.concat(earlier, ignore_index=True)
    within: pd.DataFrame = rows[(rows[model.time] >= since) & (rows[model.time] < first)]
    within = within.sort_values(model.time, ignore_index=True)
    if model.known_at and not model.outcomes and model.target in within.columns:
        within[model.target] = within[model.target].where(_known(within, model.known_at, first))
    return within


def _recent(records: ModelRecords, record: BatchRecord, since: "pd.Timestamp") -> "pd.DataFrame":
    """Return the rows of a batch; of one that does not fit into memory, those since a moment."""
    large, time = records.large(DATASET, record), records.model.time
    if large is None:
        return records.dataset(record)
    return pd.concat([chunk[chunk[time] >= since] for chunk in large.chunks()], ignore_index=True)


def _known(rows: "pd.DataFrame", known_at: str, moment: "pd.Timestamp") -> "pd.Series":
    """Return for each row (n,) whether its label was known at a moment; False if the row does not say since when."""
    if known_at not in rows.columns:
        return pd.Series(False, index=rows.index)
    known: pd.Series = pd.to_datetime(parse_times(rows[known_at]), utc=True) <= pd.to_datetime(moment, utc=True)
    return known


def known_features(model: Declaration, table: AnyFrame, learnt: Schema | None) -> AnyFrame:
    """Leave out columns that the first batch lacked, unless a function chose them or they are declared `optional`.

    The source accepts an extra column, but models of the same declaration do not know it.
    """
    if learnt is None or model.features is not None:
        return table
    unknown = [name for name in table.columns if name not in learnt.columns and name not in model.optional]
    known: AnyFrame = without(table, unknown)
    return known


def learnt_kinds(records: ModelRecords, batch: str) -> Schema | None:
    """Return the kinds that the features of a batch are checked against; None for the first batch of a declaration."""
    version = records.model.features_version
    return kinds_for(records, batch, of_features(version), stored_features(records, version))[0]


def _columns(
    records: ModelRecords,
    batch: str,
    table: "pd.DataFrame | LargeFrame",
    learnt: Schema | None,
    left_out: list[str],
) -> CheckOutcome:
    """Check the features against the schema of this declaration, which its first batch sets; record the schema."""
    model, schema = records.model, schema_of(table, batch)
    expected = learnt or schema
    problems = [f"{name!r} is missing" for name in expected.columns if name not in schema.columns]
    # An optional column may have been declared after the first batches, whose rows are stored without it.
    new = [name for name in schema.columns if name not in expected.columns]
    problems += [f"{name!r} is new" for name in new if name not in model.optional]
    problems += [
        f"{name!r} holds {kind}, expected {expected.columns[name]}{expected.origin(name)}"
        for name, kind in schema.columns.items()
        if "null" not in (kind, expected.columns.get(name, kind)) and kind != expected.columns.get(name, kind)
    ]
    problems += times_returned(model, table)
    if not table.shape[1]:
        problems = ["there is no feature column; let the features function return some, or drop fewer columns"]
    if not problems:
        known = Schema({**expected.columns, **dict.fromkeys(new, "null")}, expected.origins)
        record_kinds(records, of_features(model.features_version), known.merged(schema))
    message = "; ".join(problems) or f"{table.shape[1]} features of the expected kinds"
    if left_out:
        message += f"; left out, as the first batch lacked it: {listed(left_out)}. Declare it `optional` to use it"
    return CheckOutcome("feature_columns", not problems, message)


def _leak(model: Declaration, batch: "pd.DataFrame | LargeFrame", history: "pd.DataFrame") -> CheckOutcome:
    if isinstance(batch, LargeFrame):
        batch = next(iter(batch.chunks()))
    leaking = looks_ahead(model.features, batch, history, model.not_features, model.time)
    if not leaking:
        return CheckOutcome("no_future_leak", True, "no feature depends on later rows or on its own label")
    return CheckOutcome(
        "no_future_leak",
        False,
        f"{leaking} change when later rows and the row's own label are hidden: they would not be known when scoring. "
        "Use shifted or trailing values",
        metadata={"leaking": [{"feature": name} for name in leaking]},
    )
