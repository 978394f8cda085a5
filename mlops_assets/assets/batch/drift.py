"""`drift`: each batch against the rows that the champion was trained on."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import dagster as dg

from mlops_assets.assets.batch.alarm_budget import alarm_level
from mlops_assets.assets.batch.report import PageConfig, no_champion, record_report, unknown, with_page
from mlops_assets.assets.batch.segments import segment_checks, watch_drift
from mlops_assets.assets.shared.keys import asset_key, check_specs
from mlops_assets.assets.shared.metadata import check_results, metadata, table
from mlops_assets.assets.shared.model_asset import Asset, model_asset
from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.drift import batch_drift
from mlops_assets.decisions.drift.batch_drift import DriftReport, Pair
from mlops_assets.decisions.drift.column_tests import EXTRAS, FeatureDrift
from mlops_assets.decisions.drift.error_budget import Level
from mlops_assets.declaration import Declaration
from mlops_assets.errors import FeaturesError
from mlops_assets.lazy import pd
from mlops_assets.modelling.predictions import predict
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.references import Reference, keep_scores, read_reference, with_scored_since
from mlops_assets.records.rows import read_sampled
from mlops_assets.resources import MlflowRegistry, Storage
from mlops_assets.resources.evidently_pages import drift_page
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.text import counted

_MOST_IN_TABLE = 200
_MOST_IN_MESSAGE = 8
_MOST_REASONS = 3


def drift_asset(model: Declaration) -> Asset:
    """Return the asset `drift`: each batch against the champion's training rows."""
    key, of_segments = asset_key(model.name, "drift"), segment_checks(model, "drift")

    @model_asset(
        model,
        "drift",
        kinds={"scipy", "evidently"},
        code_version="2",
        deps=[asset_key(model.name, kind) for kind in ("features", "champion")],
        description=f"Features, predictions and labels of each batch against those of the champion of {model.name}.",
        check_specs=check_specs(model.name, "drift", {"no_drift": "Nothing drifted.", **of_segments}, blocking=False),
        output_required=False,
    )
    def drift(
        context: dg.AssetExecutionContext, config: PageConfig, mlops_storage: Storage, mlflow_registry: MlflowRegistry
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        records = ModelRecords(model, mlops_storage)
        record = records.batches.accepted(context.partition_key)
        champion = records.champion
        if champion is None:
            reason = no_champion(context, records, "drift", record)
            yield from check_results((unknown(name, reason) for name in ("no_drift", *of_segments)), key)
            return
        shown, outcomes = _looked_at(context, config, records, record, champion, mlflow_registry)
        yield dg.MaterializeResult(metadata=shown)
        yield from check_results(outcomes, key)

    return drift


def _looked_at(
    context: dg.AssetExecutionContext,
    config: PageConfig,
    records: ModelRecords,
    record: BatchRecord,
    champion: ModelVersion,
    registry: MlflowRegistry,
) -> tuple[dict[str, Any], list[CheckOutcome]]:
    """Compare a batch with the champion's training rows and record the result; return metadata and checks."""
    model = records.model
    reference = read_reference(records, champion)
    X, about = read_sampled(records, record)
    level = alarm_level(records, record)
    predictions = _predictions(model, champion, X, registry)
    if model.drift.season and model.time and predictions is not None:
        keep_scores(records, champion, record, predictions, about[model.time])
        undrifted = _undrifted(records, champion, record)
        reference = with_scored_since(reference, records, champion, undrifted, about[model.time].min())
    report = _judge(model, reference, X, about, predictions, level)
    outcome = _drift_check(report)
    segments = watch_drift(records, champion, record, X)
    of_all = {"share_drifted": report.share, "drifted_features": _drifted_features(report), "level": level.value}
    figures = {**of_all, **segments.figures}
    record_report(context, records, "drift", record, champion.version, report.verdict, outcome.message, figures)
    draw = partial(drift_page, reference.rows, X, list(X.columns), model.seed)
    name, alarm = f"drift/{record.batch}.html", report.verdict == "drift"
    page = with_page(model, config, alarm, champion, name, draw, registry)
    return _drift_metadata(report, champion, level) | segments.shown | page, [outcome, *segments.outcomes]


def _judge(
    model: Declaration,
    reference: Reference,
    X: "pd.DataFrame",
    about: "pd.DataFrame",
    predictions: "pd.DataFrame | None",
    level: Level,
) -> DriftReport:
    batch_times = about[model.time] if model.time else None
    pairs = []
    if predictions is not None and reference.scores is not None:
        where = "holdout, on which alone it predicted what it was not trained on,"
        if reference.batches:
            where = f"holdout, with {counted(reference.batches, 'batch', 'batches')} scored since,"
        prediction = Pair(
            name="prediction",
            kind="prediction",
            reference=reference.scores.iloc[:, -1],  # the score where there is one
            batch=predictions.iloc[:, -1],
            times=None if reference.score_times is None else (reference.score_times, batch_times),
            where=where,
        )
        pairs.append(prediction)
    y = about[model.target]
    if y.notna().mean() >= model.label_share:  # early labels differ from late labels
        pairs.append(Pair(name=model.target, kind="target", reference=reference.rows[model.target], batch=y))
    return batch_drift.drift(
        reference.rows,
        X,
        [name for name in reference.rows.columns if name != model.target],
        level.value,
        model.drift.min_effect,
        importance=reference.importance,
        times=None if reference.times is None else (reference.times, batch_times),
        season=model.drift.season,
        together=model.drift.together,
        extra=pairs,
        seed=model.seed,
    )


def _undrifted(records: ModelRecords, champion: ModelVersion, record: BatchRecord) -> Iterator[BatchRecord]:
    """Yield the other batches that this champion scored and that did not drift."""
    reports = records.reports.all("drift")
    for other in records.batches.all():
        report = reports.get(other.batch)
        if report is None or other.batch == record.batch or other.status != "accepted":
            continue
        if report.model_version == champion.version and report.verdict != "drift" and report.content == other.content:
            yield other


def _predictions(
    model: Declaration, champion: ModelVersion, X: "pd.DataFrame", registry: MlflowRegistry
) -> "pd.DataFrame | None":
    """Return the champion's predictions for these rows; None if it cannot score them, which the features then show."""
    try:
        return predict(registry.load(champion, model.serialization, model.trusted_types), X).frame()
    except FeaturesError:
        return None


def _drift_metadata(report: DriftReport, champion: ModelVersion, level: Level) -> dict[str, Any]:
    drifted = [feature.feature for feature in report.features if feature.verdict == "drift"]
    rows = report.table()
    return {
        **metadata(
            {
                "verdict": report.verdict,
                "drifted": ", ".join(drifted)[:500] or "none",
                "unknown": _reasons(_undecided(report)) or None,  # a cell of the table shortens the reasons
                "drifted_features": _drifted_features(report),
                "share_drifted": report.share,
                "p": report.p,
                "level": level.value,
                "budget": level.reason,
                "rows": report.rows_batch,
                "reference_rows": report.rows_reference,
                "matched": report.matched or None,
                "model_version": champion.version,
                "features_not_shown": max(len(rows) - _MOST_IN_TABLE, 0) or None,
            }
        ),
        "features": table(_in_order(row) for row in rows[:_MOST_IN_TABLE]),
    }


def _drifted_features(report: DriftReport) -> int:
    return sum(entry.verdict == "drift" and entry.kind not in EXTRAS for entry in report.features)


def _in_order(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a feature with the verdict before the figures that lead to it."""
    first = {"feature": row["feature"], "verdict": row["verdict"], "effect": row["effect"], "p": row["p_adjusted"]}
    return first | {"weight": row["weight"], "test": row["test"], "note": row["note"]}


def _drift_check(report: DriftReport) -> CheckOutcome:
    entries = [feature for feature in report.features if feature.verdict == report.verdict]
    undecided = _undecided(report)
    if report.verdict == "no drift":
        message = f"none of {len(entries)} entries drifted over {report.rows_batch:,} rows"
    else:
        details = _effects(entries) if report.verdict == "drift" else _reasons(entries)
        message = f"{report.verdict}: {len(entries)} of {len(report.features)} entries: {details}"
    if undecided and report.verdict != "unknown":
        message += f"; unknown: {_reasons(undecided)}"
    return CheckOutcome("no_drift", report.verdict == "no drift", message, severity="warn", blocking=False)


def _undecided(report: DriftReport) -> list[FeatureDrift]:
    return [feature for feature in report.features if feature.verdict == "unknown"]


def _effects(drifted: Sequence[FeatureDrift]) -> str:
    return ", ".join(f"{feature.feature} (effect {feature.effect:.2g})" for feature in drifted[:_MOST_IN_MESSAGE])


def _reasons(undecided: Sequence[FeatureDrift]) -> str:
    """Return why these features are unknown: each reason once, with its features."""
    by_reason: dict[str, list[str]] = {}
    for feature in undecided:
        by_reason.setdefault(feature.note, []).append(feature.feature)
    return "; ".join(
        f"{reason} ({', '.join(names[:_MOST_IN_MESSAGE])}{', ...' if len(names) > _MOST_IN_MESSAGE else ''})"
        for reason, names in list(by_reason.items())[:_MOST_REASONS]
    )
