"""`outcomes`: a batch of labels that came later than its rows, checked, stored and joined to the rows."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg

from mlops_assets.assets.batch.intake import mark_of, of_the_batch, readable, store_rejected
from mlops_assets.assets.batch.upstream_source import read_batch, upstream_deps
from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.keys import asset_key, check_specs
from mlops_assets.assets.shared.metadata import check_result, check_results, metadata, preview
from mlops_assets.assets.shared.model_asset import Asset, model_asset
from mlops_assets.checks import CheckOutcome, reasons
from mlops_assets.declaration import Declaration
from mlops_assets.lazy import pd
from mlops_assets.records.column_kinds import record_kinds, recorded_kinds
from mlops_assets.records.frames import DATASET, OUTCOMES
from mlops_assets.records.labels import refresh_labels
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.outcome_frames import UnlikeKeys, as_keys, matched, outcome_checks, tidy
from mlops_assets.records.outcomes import OutcomesRecord
from mlops_assets.resources.storage import Storage
from mlops_assets.sources.data_version import data_version
from mlops_assets.validation.schema import Schema, kind_of, schema_of

CHECKS = {
    "readable": "The source gives the batch within its limits of size, rows and encoding.",
    "row_count": "The batch has rows.",
    "columns": "The key, the target and, where declared, `known_at` are there.",
    "dtypes": "Keys have the kinds that they have in the rows, labels the kind of earlier outcomes.",
    "finite": "No number is infinite.",
    "key_known": "Each label has the key of the row that it belongs to.",
    "known_at": "Labels have a time since which they are known, and it is not in the future.",
    "one_label": "No key has two labels within the batch.",
}
MATCHES = {"matches_rows": "Some of the keys match rows that were taken in."}


def outcome_batches(model: str) -> dg.DynamicPartitionsDefinition:
    """Return the partitions definition of a model's batches of outcomes."""
    return dg.DynamicPartitionsDefinition(name=f"{model}_outcomes")


def outcomes_asset(model: Declaration) -> Asset:
    """Return the asset `outcomes`: labels from a source of their own; its checks gate what is joined to the rows."""
    assert model.outcomes is not None  # the caller checks it
    key = asset_key(model.name, "outcomes")

    @model_asset(
        model,
        "outcomes",
        kinds={"pandas", "parquet"},
        code_version="1",
        partitions_def=outcome_batches(model.name),
        deps=upstream_deps(model.outcomes),
        description=f"Labels of {model.name} that come later than the rows. {model.outcomes.describe()}",
        check_specs=[
            *check_specs(model.name, "outcomes", CHECKS),
            *check_specs(model.name, "outcomes", MATCHES, blocking=False),
        ],
    )
    def outcomes(
        context: dg.AssetExecutionContext, mlops_storage: Storage
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        records = ModelRecords(model, mlops_storage)
        batch = context.partition_key
        frame, schema, checked = _validated(records, batch, context)
        yield from check_results(checked, key)
        if faults := reasons(checked):
            version, rows = store_rejected(records, "rejected_outcomes", frame, faults, context)
            record = OutcomesRecord(
                batch, "rejected", context.run.run_id, version=version, rows=rows, reasons=tuple(faults)
            )
            _record_and_refresh(records, record, context)
            raise dg.Failure(
                f"{model.name}: outcomes {batch!r} are rejected. " + "; ".join(faults), allow_retries=False
            )
        assert frame is not None  # unreadable outcomes are rejected above
        yield from _accept(records, frame, schema, context)

    return outcomes


def _validated(
    records: ModelRecords, batch: str, context: dg.AssetExecutionContext
) -> "tuple[pd.DataFrame | None, Schema, list[CheckOutcome]]":
    """Return the batch (None if unreadable), the kinds that its columns must hold, and the outcome of each check."""
    from mlops_assets.validation.plain_columns import plain_columns, with_faults  # its tables of types load numpy

    model, source = records.model, records.model.outcomes
    assert source is not None
    rows, earlier = (recorded_kinds(records, place) or Schema({}) for place in (DATASET, OUTCOMES))
    of_key = {name: kind for name, kind in rows.columns.items() if name in model.key}
    schema = Schema({**earlier.columns, **of_key})

    def labels() -> "tuple[pd.DataFrame, list[str]]":
        frame = read_batch(source, batch, context)
        return plain_columns(frame, set(frame.columns) - {*model.key, model.target, model.known_at})

    content = of_the_batch(labels)
    if isinstance(content, CheckOutcome):
        return None, schema, [content]
    frame, faults = content
    now = pd.Timestamp.now("UTC")
    checks = of_the_batch(lambda: outcome_checks(frame, schema, model.key, model.target, model.known_at, now))
    if isinstance(checks, CheckOutcome):
        return frame, schema, [checks]
    return frame, schema, [readable(frame), *with_faults(checks, faults)]


def _accept(
    records: ModelRecords, frame: "pd.DataFrame", schema: Schema, context: dg.AssetExecutionContext
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    model, batch = records.model, context.partition_key
    key_and_target = frame[[*model.key, model.target]]
    known = {name: kind for name, kind in schema.columns.items() if kind != "null"}
    kinds = Schema({**schema_of(key_and_target).columns, **known})
    record_kinds(records, OUTCOMES, kinds)
    labels = tidy(frame, kinds, model.key, model.target, model.known_at)
    version = data_version(labels)
    path = records.keep_frame(OUTCOMES, batch, version, labels)
    record = OutcomesRecord(batch, "accepted", context.run.run_id, version=version, rows=len(labels))
    changed = _record_and_refresh(records, record, context)
    rows, batches, unmatched, problems = _matches(records, labels)
    counts = {
        "rows": len(frame),
        "labels": len(labels),
        "labelled_rows": rows,
        "labelled_batches": batches,
        "changed_batches": len(changed),
        "keys_without_a_row": unmatched,
    }
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(version),
        metadata={
            **metadata(counts),
            **drawn("preview", lambda: preview(key_and_target)),
            "path": dg.MetadataValue.path(path),
            "dagster/row_count": len(labels),
        },
    )
    yield check_result(_matching(len(labels), rows, batches, unmatched, problems), context.asset_key)


def _record_and_refresh(records: ModelRecords, record: OutcomesRecord, context: dg.AssetExecutionContext) -> list[str]:
    """Record a batch of outcomes, then update the labels of the rows; return the batches whose labels changed.

    The mark is recorded last: without it the batch counts as not taken in, so a run that dies in between is requested
    again.
    """
    ledger = records.outcomes
    before = ledger.get(record.batch)
    ledger.put(record)
    changed = refresh_labels(records)
    context.log.info(f"{records.name}: outcomes {record.batch!r} are {record.status}; labels changed in {len(changed)}")
    if ledger.get(record.batch) == record:  # else another run has taken the batch in meanwhile, and records its mark
        ledger.put(replace(record, mark=mark_of(context, before)))
    return changed


def _matches(records: ModelRecords, labels: "pd.DataFrame") -> tuple[int, int, int, list[str]]:
    """Return the numbers of rows and batches that these labels match, of keys without a row, and the problems."""
    model = records.model
    rows, batches, problems = 0, 0, []
    unmatched = labels[model.key].drop_duplicates(ignore_index=True)
    for record in records.batches.all():
        if record.status != "accepted" or labels.empty:
            continue
        keys = records.dataset(record, model.key)
        kinds = {name: kind_of(keys[name]) for name in model.key}
        try:
            count, is_matched = matched(as_keys(keys, kinds), as_keys(labels, kinds))
        except UnlikeKeys as error:
            problems.append(f"batch {record.batch!r}: {error}")
            continue
        rows, batches = rows + count, batches + bool(count)
        of_batch = labels.loc[is_matched.to_numpy(), model.key].drop_duplicates()
        unmatched = unmatched.merge(of_batch, on=model.key, how="left", indicator="merged")
        unmatched = unmatched.loc[unmatched.pop("merged") == "left_only"].reset_index(drop=True)
    return rows, batches, len(unmatched), problems


def _matching(labels: int, rows: int, batches: int, unmatched: int, problems: list[str]) -> CheckOutcome:
    sentences = [
        f"{labels:,} labels for {rows:,} rows of {batches:,} batches; {unmatched:,} keys match no row that was taken in"
    ]
    if not rows:
        sentences.append(
            "The rows may come yet; else compare the key columns of both sources, leading zeros and zones included"
        )
    if problems:
        sentences.append("; ".join(problems[:3]))
    return CheckOutcome("matches_rows", bool(rows), ". ".join(sentences), severity="warn", blocking=False)
