"""`outcomes`: a batch of labels that came later than its rows, checked, stored and joined to the rows."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg

from mlops_assets.assets.batch.intake import as_texts, of_the_batch
from mlops_assets.assets.batch.upstream_source import read_batch, upstream_deps
from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.keys import MARK, asset_key, check_specs, model_asset
from mlops_assets.assets.shared.metadata import check_result, metadata, preview
from mlops_assets.checks import CheckOutcome, reasons
from mlops_assets.declaration import Declaration
from mlops_assets.lazy import pd
from mlops_assets.records.column_kinds import DATASET, OUTCOMES, record_kinds, recorded_kinds
from mlops_assets.records.frames import keep_frame
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
    "dtypes": "Keys are of the kind that they are of in the rows, labels of that of earlier outcomes.",
    "finite": "No number is infinite.",
    "key_known": "Each row says which row it belongs to.",
    "known_at": "Labels say when they became known, and that is not in the future.",
    "one_label": "No key has two labels within the batch.",
}
MATCHES = {"matches_rows": "Some of the keys are those of rows that were taken in."}


def outcome_batches(model: str) -> dg.DynamicPartitionsDefinition:
    """Return the partitions definition of a model's batches of outcomes."""
    return dg.DynamicPartitionsDefinition(name=f"{model}_outcomes")


def outcomes_asset(model: Declaration) -> dg.AssetsDefinition:
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
        yield from (check_result(outcome, key) for outcome in checked)
        if refused := reasons(checked):
            _reject(records, batch, frame, refused, context)
            raise dg.Failure(
                f"{model.name}: outcomes {batch!r} are rejected. " + "; ".join(refused), allow_retries=False
            )
        assert frame is not None  # unreadable outcomes are refused above
        yield from _accept(records, batch, frame, schema, context)

    return outcomes


def _validated(
    records: ModelRecords, batch: str, context: dg.AssetExecutionContext
) -> "tuple[pd.DataFrame | None, Schema, list[CheckOutcome]]":
    """Return the batch (None if unreadable), the kinds that its columns must hold, and the outcome of each check."""

    model = records.model
    from mlops_assets.validation.plain_columns import plain_columns, with_faults

    assert model.outcomes is not None
    outcomes = model.outcomes
    rows, earlier = (recorded_kinds(records, place) or Schema({}) for place in (DATASET, OUTCOMES))
    of_key = {name: kind for name, kind in rows.columns.items() if name in model.key}
    schema = Schema({**earlier.columns, **of_key})
    named = {*model.key, model.target, model.known_at}

    def labels() -> "tuple[pd.DataFrame, list[str]]":
        read = read_batch(outcomes, batch, context)
        return plain_columns(read, [name for name in read.columns if name not in named])

    found = of_the_batch(labels)
    if isinstance(found, CheckOutcome):
        return None, schema, [found]
    frame, faults = found
    now = pd.Timestamp.now("UTC")
    checks = of_the_batch(lambda: outcome_checks(frame, schema, model.key, model.target, model.known_at, now))
    if isinstance(checks, CheckOutcome):
        return frame, schema, [checks]
    readable = CheckOutcome("readable", True, f"{len(frame):,} rows x {frame.shape[1]} columns")
    return frame, schema, [readable, *with_faults(checks, faults)]


def _reject(
    records: ModelRecords,
    batch: str,
    frame: "pd.DataFrame | None",
    refused: list[str],
    context: dg.AssetExecutionContext,
) -> None:
    """Record why, and keep the rows apart for a person to look at; the batch's earlier labels no longer count."""

    rows, version = 0, None
    if frame is not None:
        rows, version = len(frame), data_version(frame)
        records.write_frame("rejected_outcomes", batch, version, as_texts(frame))
    record = OutcomesRecord(batch, "rejected", context.run.run_id, version=version, rows=rows, reasons=tuple(refused))
    _record_and_refresh(records, record, context)
    shown = metadata({"rejected_because": "\n".join(refused), "rows": rows})
    context.log_event(dg.AssetObservation(context.asset_key, partition=batch, metadata=shown))


def _accept(
    records: ModelRecords,
    batch: str,
    frame: "pd.DataFrame",
    schema: "Schema",
    context: dg.AssetExecutionContext,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:

    model = records.model
    found = schema_of(frame[[*model.key, model.target]])
    kinds = Schema({**found.columns, **{k: v for k, v in schema.columns.items() if v != "null"}})
    record_kinds(records, OUTCOMES, kinds)
    labels = tidy(frame, kinds, model.key, model.target, model.known_at)
    version = data_version(labels)
    path = keep_frame(records.storage, model.name, "outcomes", batch, version, labels)
    record = OutcomesRecord(batch, "accepted", context.run.run_id, version=version, rows=len(labels))
    changed = _record_and_refresh(records, record, context)
    matched, batches, unmatched, problems = _matches(records, labels)
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(version),
        metadata={
            **metadata(
                {
                    "rows": len(frame),
                    "labels": len(labels),
                    "labelled_rows": matched,
                    "labelled_batches": batches,
                    "changed_batches": len(changed),
                    "keys_without_a_row": unmatched,
                }
            ),
            **drawn("preview", lambda: preview(frame[[*model.key, model.target]])),
            "path": dg.MetadataValue.path(path),
            "dagster/row_count": len(labels),
        },
    )
    yield check_result(_matching(len(labels), matched, batches, unmatched, problems), context.asset_key)


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
    # A manual run has no mark: the recorded one stays, else the sensor would request the batch again at every tick.
    mark = context.run.tags.get(MARK) or (before.mark if before is not None else "")
    if ledger.get(record.batch) == record:  # else another run has taken the batch in meanwhile, and records its mark
        ledger.put(replace(record, mark=mark))
    return changed


def _matches(records: ModelRecords, labels: "pd.DataFrame") -> tuple[int, int, int, list[str]]:
    """Return the numbers of rows and batches that these labels match, of keys without a row, and the problems."""

    model = records.model
    rows, batches, problems = 0, 0, []
    waiting = labels[model.key].drop_duplicates(ignore_index=True)
    for record in records.batches.all():
        if record.status != "accepted" or labels.empty:
            continue
        keys = records.read_frame("dataset", record.batch, str(record.version), model.key)
        kinds = {name: kind_of(keys[name]) for name in model.key}
        try:
            count, found = matched(as_keys(keys, kinds), as_keys(labels, kinds))
        except UnlikeKeys as error:
            problems.append(f"batch {record.batch!r}: {error}")
            continue
        rows, batches = rows + count, batches + bool(count)
        here = labels.loc[found.to_numpy(), model.key].drop_duplicates()
        waiting = waiting.merge(here, on=model.key, how="left", indicator="found")
        waiting = waiting.loc[waiting.pop("found") == "left_only"].reset_index(drop=True)
    return rows, batches, len(waiting), problems


def _matching(labels: int, rows: int, batches: int, unmatched: int, problems: list[str]) -> CheckOutcome:
    said = (
        f"{labels:,} labels for {rows:,} rows of {batches:,} batches; {unmatched:,} keys match no row that was taken in"
    )
    if not rows:
        said += (
            ". The rows may come yet; else compare the key columns of both sources, leading zeros and zones included"
        )
    if problems:
        said += ". " + "; ".join(problems[:3])
    return CheckOutcome("matches_rows", bool(rows), said, severity="warn", blocking=False)
