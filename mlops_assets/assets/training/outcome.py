"""What became of a training, recorded by its steps so that it is neither repeated nor forgotten."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from mlops_assets.assets.shared.keys import TRIGGER
from mlops_assets.checks import CheckOutcome, reasons
from mlops_assets.decisions.promotion.alias import Decision
from mlops_assets.decisions.promotion.gates import only_of_the_moment
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.trainings import Status, TrainingRecord
from mlops_assets.resources.mlflow.model_version import ModelVersion

WAITING = "waiting for approval"


def note_fitted(context: dg.AssetExecutionContext, records: ModelRecords, version: ModelVersion) -> None:
    """Record that a version is registered and not judged yet, unless it was decided on before."""
    known = records.trainings.get(version.data_version, version.declaration_version)
    if known is None or known.status == "fitted" or known.version != version.version:
        _note(context, records, version, "fitted")


def note_refused(
    context: dg.AssetExecutionContext, records: ModelRecords, version: ModelVersion, outcomes: Sequence[CheckOutcome]
) -> None:
    """Record that a version failed a blocking gate; unless only slow, the same data and declaration fail again."""

    if refused := reasons(outcomes):
        status: Status = "slow" if only_of_the_moment(outcomes) else "refused"
        _note(context, records, version, status, "keep", "; ".join(refused))


def note_unfit_data(
    context: dg.AssetExecutionContext,
    records: ModelRecords,
    data_version: str,
    outcomes: Sequence[CheckOutcome],
) -> None:
    """Record that a training set failed a blocking check: nothing is fitted on it."""
    if refused := reasons(outcomes):
        record = TrainingRecord(
            data_version=data_version,
            declaration_version=records.model.training_version,
            status="refused",
            run_id=context.run.run_id,
            at=_now(),
            verdict="keep",
            reason="; ".join(refused),
            trigger=context.run.tags.get(TRIGGER, ""),
        )
        records.trainings.put(record)


def note_judged(
    context: dg.AssetExecutionContext, records: ModelRecords, version: ModelVersion, decision: Decision
) -> None:
    """Record that a version was decided on."""
    _note(context, records, version, "judged", verdict_of(decision), decision.reason)


def verdict_of(decision: Decision) -> str:
    """Return the verdict to record; a version that waits for a person is not promoted yet."""
    return WAITING if decision.waits else decision.verdict


def _note(
    context: dg.AssetExecutionContext,
    records: ModelRecords,
    version: ModelVersion,
    status: Status,
    verdict: str = "",
    reason: str = "",
) -> None:
    record = TrainingRecord(
        data_version=version.data_version,
        declaration_version=version.declaration_version,
        status=status,
        run_id=context.run.run_id,
        at=_now(),
        version=version.version,
        verdict=verdict,
        reason=reason,
        trigger=context.run.tags.get(TRIGGER, ""),
    )
    records.trainings.put(record)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
