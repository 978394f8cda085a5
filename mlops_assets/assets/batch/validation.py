"""Whether a batch is accepted: it is read, converted to plain kinds, and checked by the contract and the suite."""

from __future__ import annotations

import dagster as dg

from mlops_assets.assets.batch.expectations import Suite
from mlops_assets.assets.batch.feature_times import refused_times, with_times_as_text
from mlops_assets.assets.batch.intake import judged_columns, of_the_batch, readable, unused
from mlops_assets.assets.batch.upstream_source import read_rows
from mlops_assets.checks import CheckOutcome
from mlops_assets.declaration import Declaration
from mlops_assets.disk_frame import DiskFrame, LargeFrame, without
from mlops_assets.lazy import pd
from mlops_assets.records.column_kinds import kinds_for, stored_dataset
from mlops_assets.records.frames import DATASET
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.outcome_frames import known_at_check
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.validation.contract import contract_checks
from mlops_assets.validation.first_look import first_look, not_the_first
from mlops_assets.validation.schema import Schema, normalise, normalise_on_disk, put_missing, with_columns
from mlops_assets.validation.where import kept_rows, put_own_kinds, rows_of, with_own_kinds, with_where


def validated(
    records: ModelRecords,
    suite: Suite,
    batch: str,
    expectations: GreatExpectations,
    context: dg.AssetExecutionContext,
) -> tuple[pd.DataFrame | DiskFrame | None, list[CheckOutcome]]:
    """Return the batch (None if unreadable) and the outcome of each check that could be made.

    A batch that does not fit into memory is on disk; its checks are the same.
    """
    from mlops_assets.validation.plain_columns import with_faults  # its tables of types load numpy

    model = records.model
    content = of_the_batch(lambda: _plain_rows(model, read_rows(model.source, batch, context), context))
    if isinstance(content, CheckOutcome):
        return None, [content]
    frame, faults = content
    learnt, _ = kinds_for(records, batch, DATASET, stored_dataset(records))
    schema = None if learnt is None else judged_columns(model, learnt)
    checked = of_the_batch(lambda: _checked(model, frame, schema))
    if isinstance(checked, CheckOutcome):
        return frame, [checked]
    frame, contract = checked
    contract = with_times_as_text(with_faults(contract, [*faults, *refused_times(model, frame)]), model, frame)
    contract = with_where(contract, model.where)
    look = _first_look(model, frame) if schema is None else not_the_first()
    if not look.passed:
        context.log.warning(f"batch {batch!r}, the first of {model.name}: {look.message}")
    return frame, [readable(frame), *contract, look, *suite.validate(frame, expectations, records)]


def checks_known_at(model: Declaration) -> bool:
    """Return whether the source itself, and not the outcomes, has the column `known_at`."""
    return model.known_at is not None and model.outcomes is None


def _plain_rows(
    model: Declaration, rows: pd.DataFrame | LargeFrame, context: dg.AssetExecutionContext
) -> tuple[pd.DataFrame | DiskFrame, list[str]]:
    """Return the model's rows of what the source has, in plain kinds, and a sentence for each column without one."""
    from mlops_assets.validation.plain_columns import plain_columns, plain_on_disk

    kept = kept_rows(rows, model.where) if isinstance(rows, LargeFrame) else None
    if not isinstance(rows, LargeFrame):
        rows = rows_of(rows, model.where)
    if model.outcomes is not None and model.target in rows.columns:
        context.log.info(f"column {model.target!r} of the source is left out: labels come from `outcomes` alone")
        rows = without(rows, [model.target])
    if isinstance(rows, LargeFrame):
        on_disk, faults = plain_on_disk(rows, unused(model), kept)
        if model.where:
            put_own_kinds(on_disk, _inferred(model, on_disk))
        return on_disk, faults
    plain, faults = plain_columns(rows, unused(model))
    return with_own_kinds(plain, _inferred(model, plain)) if model.where else plain, faults


def _checked(
    model: Declaration, frame: pd.DataFrame | DiskFrame, schema: Schema | None
) -> tuple[pd.DataFrame | DiskFrame, list[CheckOutcome]]:
    """Return the rows in the kinds of earlier batches, and the outcomes of the contract."""
    if isinstance(frame, DiskFrame):
        put_missing(frame, model.optional)
        normalise_on_disk(frame, schema)
    else:
        frame = normalise(with_columns(frame, model.optional), schema)
    contract = contract_checks(
        without(frame, unused(model)),
        schema,
        target=None if model.outcomes else model.target,
        key=model.key,
        time=model.time,
        extra_columns=model.extra_columns,
        optional=model.optional,
        now=pd.Timestamp.now("UTC"),
        inferred=_inferred(model, frame),
    )
    return frame, [*contract, _known_at(model, frame)] if checks_known_at(model) else contract


def _inferred(model: Declaration, frame: pd.DataFrame | DiskFrame) -> set[str]:
    """Return the columns whose kind was inferred from the text of a CSV file."""
    return model.source.inferred(map(str, frame.columns))


def _first_look(model: Declaration, frame: pd.DataFrame | DiskFrame) -> CheckOutcome:
    used = {str(name) for name in frame.columns} - unused(model)
    features = set() if model.features is not None else used - set(model.not_features)
    return first_look(frame, features, used & _inferred(model, frame))


def _known_at(model: Declaration, frame: pd.DataFrame | DiskFrame) -> CheckOutcome:
    if model.known_at not in frame.columns:
        columns = ", ".join(map(str, frame.columns[:20]))
        return CheckOutcome("known_at", False, f"there is no column {model.known_at!r} (columns: {columns})")
    return known_at_check(frame[[str(model.known_at)]], model.known_at, pd.Timestamp.now("UTC"))
