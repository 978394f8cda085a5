"""What became of a training, recorded by its steps so that it is neither repeated nor forgotten."""

from collections.abc import Sequence
from datetime import UTC, datetime

from mlops_assets.assets.shared.keys import TRIGGER
from mlops_assets.assets.training.step import Step
from mlops_assets.checks import CheckOutcome, reasons
from mlops_assets.decisions.promotion.alias import Decision
from mlops_assets.decisions.promotion.gates import only_of_the_moment
from mlops_assets.records.trainings import Status, TrainingRecord
from mlops_assets.resources.mlflow.model_version import ModelVersion

WAITING = "waiting for approval"


def note_fitted(step: Step, version: ModelVersion) -> None:
    """Record that a version is registered and not judged yet, unless it was decided on before."""
    known = step.records.trainings.get(version.data_version, version.declaration_version)
    if known is None or known.status == "fitted" or known.version != version.version:
        _note(step, version, "fitted")


def note_refused(step: Step, version: ModelVersion, outcomes: Sequence[CheckOutcome]) -> None:
    """Record that a version failed a blocking gate; unless only slow, the same data and declaration fail again."""
    if refused := reasons(outcomes):
        _note(step, version, "slow" if only_of_the_moment(outcomes) else "refused", "keep", "; ".join(refused))


def note_unfit_data(step: Step, data_version: str, outcomes: Sequence[CheckOutcome]) -> None:
    """Record that a training set failed a blocking check: nothing is fitted on it."""
    if refused := reasons(outcomes):
        _put(step, None, (data_version, step.model.training_version), "refused", "keep", "; ".join(refused))


def note_judged(step: Step, version: ModelVersion, decision: Decision) -> None:
    """Record that a version was decided on."""
    _note(step, version, "judged", verdict_of(decision), decision.reason)


def verdict_of(decision: Decision) -> str:
    """Return the verdict to record; a version that waits for a person is not promoted yet."""
    return WAITING if decision.waits else decision.verdict


def _note(step: Step, version: ModelVersion, status: Status, verdict: str = "", reason: str = "") -> None:
    trained = (version.data_version, version.declaration_version)
    _put(step, version.version, trained, status, verdict, reason, version.sample)


def _put(
    step: Step,
    version: int | None,
    trained: tuple[str, str],
    status: Status,
    verdict: str,
    reason: str,
    sample: str = "",
) -> None:
    """Record a training, named by the versions of its data and of its declaration."""
    data_version, declaration_version = trained
    record = TrainingRecord(
        data_version=data_version,
        declaration_version=declaration_version,
        status=status,
        run_id=step.context.run.run_id,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version,
        verdict=verdict,
        reason=reason,
        trigger=step.context.run.tags.get(TRIGGER, ""),
        sample=sample,
    )
    step.records.trainings.put(record)
