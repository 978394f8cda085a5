"""The evidence for a retraining decision, read from the records that the steps of runs write."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg

from mlops_assets.assets.shared.keys import DATA_VERSION, DECLARATION_VERSION, KIND, MODEL
from mlops_assets.assets.training.outcome import WAITING
from mlops_assets.assets.training.training_set import split, too_few
from mlops_assets.decisions.retraining.evidence import Alarms, Evidence
from mlops_assets.declaration import Declaration
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.modelling.manifest import Manifest
from mlops_assets.modelling.splits import BatchInfo
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.labels import unready
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.promotions import Promotion
from mlops_assets.records.reports import ReportKind
from mlops_assets.records.rows import read_manifest
from mlops_assets.records.trainings import TrainingLedger, TrainingRecord
from mlops_assets.sensors.models import FAILED, under_way

_REMEMBERED = timedelta(days=30)
_MOST_FAILURES = 1_000


@dataclass(frozen=True)
class Runs:
    """Runs of all models: trainings and batches under way, and failed trainings."""

    training: dict[str, list[dg.DagsterRun]]
    intake: dict[str, list[dg.DagsterRun]]
    failed: dict[str, list[dg.RunRecord]] = field(default_factory=dict)


def runs_of(instance: dg.DagsterInstance, now: datetime) -> Runs:
    """Return the runs under way and the trainings that failed in the last 30 days, by model; the newest first."""
    wanted = dg.RunsFilter(tags={KIND: "training"}, statuses=FAILED, created_after=now - _REMEMBERED)
    failed: dict[str, list[dg.RunRecord]] = {}
    for record in instance.get_run_records(wanted, limit=_MOST_FAILURES):
        if DATA_VERSION in record.dagster_run.tags:  # a person repeats their own run
            failed.setdefault(record.dagster_run.tags.get(MODEL, ""), []).append(record)
    return Runs(under_way(instance, "training"), under_way(instance, "batch"), failed)


def evidence_of(
    records: ModelRecords,
    runs: Runs,
    intake_since: datetime | None = None,
    clock: datetime | None = None,
) -> Evidence:
    """Return the evidence for a decision on `model`; see `Evidence`."""
    model = records.model
    champion = records.promotions.champion()
    ledger = records.trainings
    trainings = ledger.all()
    ended = [each for each in trainings if each.final]
    known = records.batches.all()
    batches = [each for each in known if each.ready(model.features_version) is None]
    labelled = [each for each in batches if each.labelled and unready(model, each) is None]
    made = None if champion is None else read_manifest(records, champion.data_version)
    seen = set() if made is None else _contents(*made.train, *made.holdout)
    judged_on = "" if champion is None else champion.as_version(model.name).judged.data_version
    answered = _answered(records, ended, made, judged_on)
    unseen = _since(labelled, seen | answered)
    planned, cannot = _planned(records, champion)
    data_version = None if planned is None else planned.version
    failed = runs.failed.get(model.name, [])
    died = _died(failed, ended)
    in_a_row = [each for each in died if not ended or _moment(ended[0]) < each.create_timestamp]
    failures = _failures(failed, data_version, model.training_version)
    training = runs.training.get(model.name, [])
    return Evidence(
        champion=None if champion is None else champion.version,
        champion_trained=None if champion is None else datetime.fromtimestamp(champion.created / 1000, UTC),
        drift=_alarms(records, "drift", champion, _since(batches, answered)),
        decay=_alarms(records, "performance", champion, _since(batches, answered)),
        batches=len(labelled),
        new_batches=len(unseen),
        new_rows=sum(each.labelled for each in unseen),
        since_last=len(_since(labelled, _known(records, ended[0].data_version) if ended else set())),
        trained_rows=_trained_rows(records, ended, made),
        trainable_rows=0 if planned is None else planned.rows("train"),
        data_version=data_version,
        declaration_version=model.training_version,
        cannot_train=cannot,
        never_trained=not any(each.declaration_version == model.training_version for each in ended),
        nothing_new=_nothing_new(model, planned, champion, made),
        outcome=_outcome(ledger, data_version, model.training_version),
        unfinished="" if training else _unfinished(model, trainings, died, data_version),
        waits=bool(ended) and ended[0].verdict == WAITING,
        cancelled=bool(failures) and failures[0].dagster_run.status == dg.DagsterRunStatus.CANCELED,
        failures=len(failures),
        in_a_row=len(in_a_row),
        last_failure=next((_ended(each) for each in (*in_a_row, *failures)), None),
        last_training=_moment(trainings[0]) if trainings else None,
        # a refused training set costs no training: small batches would use up the budget before the first training
        trainings=tuple(_moment(each) for each in trainings if each.trigger and each.version is not None),
        under_way=f"run {training[0].run_id[:8]}" if training else "",
        intake=_taken_in(model, known, runs.intake.get(model.name, [])),
        intake_since=intake_since,
        clock=clock,
    )


def _taken_in(model: Declaration, known: Sequence[BatchRecord], runs: Sequence[dg.DagsterRun]) -> int:
    """Return the number of batches that are under way or due: nearly all after the declaration has changed."""
    due = [each for each in known if each.status == "accepted" and not each.excluded]
    waiting = {each.batch for each in due if each.features_code != model.features_version}
    return len(waiting | {run.tags.get("dagster/partition", run.run_id) for run in runs})


def _known(records: ModelRecords, data_version: str) -> set[tuple[str, str]]:
    """Return the batches of a training set, with their content."""
    manifest = read_manifest(records, data_version)
    return _contents(*manifest.train, *manifest.holdout)


def _contents(*batches: "BatchInfo") -> set[tuple[str, str]]:
    return {(batch.key, batch.version) for batch in batches}


def _answered(
    records: ModelRecords, ended: Sequence[TrainingRecord], champion: "Manifest | None", judged_on: str
) -> set[tuple[str, str]]:
    """Return the batches of the last training that made the champion, or learnt from batches new to it.

    A training that was refused before the fit, or fitted on the champion's batches only, does not count.
    judged_on: the training set on which the champion, or the version that it is a refit of, was judged.
    """
    seen = set() if champion is None else _contents(*champion.train, *champion.holdout)
    for record in ended:
        manifest = read_manifest(records, record.data_version)
        made_it = record.data_version == judged_on
        if made_it or (record.version is not None and _contents(*manifest.train) - seen):
            return _contents(*manifest.train, *manifest.holdout)
    return set()


def _trained_rows(records: ModelRecords, ended: Sequence[TrainingRecord], champion: "Manifest | None") -> int:
    """Return the larger number of training rows: of the champion, or of the last training that fitted a version."""
    last = next((each.data_version for each in ended if each.version is not None), None)
    newest = None if last is None else read_manifest(records, last)
    return max((each.rows("train") for each in (champion, newest) if each is not None), default=0)


def _nothing_new(
    model: Declaration, planned: "Manifest | None", champion: Promotion | None, made: "Manifest | None"
) -> bool:
    """Return whether the same declaration would be fitted on the champion's rows once more.

    A refit knows the holdout too: a window that moves on only leaves out the oldest rows.
    """
    if planned is None or champion is None or made is None or champion.declaration_version != model.training_version:
        return False
    if not made.holdout:
        return planned.train == made.train[-len(planned.train) :]
    # labels that became known after the holdout begins are not used: a later holdout lets in more labels
    later = model.known_at is not None and planned.holdout[0].start != made.holdout[0].start
    return planned.train == made.train and not later


def _since(batches: Sequence[BatchRecord], known: set[tuple[str, str]]) -> list[BatchRecord]:
    """Return the batches that are neither known nor older than all known ones: a window leaves out older batches."""
    keys = {key for key, _ in known}
    first = next((position for position, each in enumerate(batches) if each.batch in keys), 0)
    return [each for each in batches[first:] if (each.batch, each.identity) not in known]


def _planned(records: ModelRecords, champion: Promotion | None) -> "tuple[Manifest | None, str]":
    """Return the training set that would be made now, None if there is none, and why it cannot be trained on."""
    try:
        planned = split(records, None if champion is None else champion.data_version)
    except MlopsAssetsError as error:
        return None, str(error)
    return planned, too_few(planned.rows("train"), planned.rows("holdout"))


def _alarms(
    records: ModelRecords,
    kind: ReportKind,
    champion: Promotion | None,
    batches: Sequence[BatchRecord],
) -> Alarms:
    """Return the alarms among the batches that have a report on this champion, oldest first."""
    if champion is None:
        return Alarms()
    reports = records.reports.all(kind)
    judged = [
        (each.batch, reports[each.batch].verdict)
        for each in batches
        if each.batch in reports and reports[each.batch].model_version == champion.version
    ]
    alarm = "drift" if kind == "drift" else "decay"
    told = [(batch, verdict == alarm) for batch, verdict in judged if verdict in (alarm, f"no {alarm}")]
    return Alarms(tuple(batch for batch, _ in told), tuple(flag for _, flag in told))


def _died(failed: Sequence[dg.RunRecord], ended: Sequence[TrainingRecord]) -> list[dg.RunRecord]:
    """Return the failed runs that recorded no final outcome: a run that refuses its training set fails as well."""
    recorded = {each.run_id for each in ended}
    runs = [each for each in failed if each.dagster_run.status == dg.DagsterRunStatus.FAILURE]
    return [each for each in runs if each.dagster_run.run_id not in recorded]


def _failures(failed: Sequence[dg.RunRecord], data_version: str | None, declaration: str) -> list[dg.RunRecord]:
    wanted = {DATA_VERSION: data_version, DECLARATION_VERSION: declaration}
    return [each for each in failed if wanted.items() <= each.dagster_run.tags.items()]


def _outcome(ledger: TrainingLedger, data_version: str | None, declaration: str) -> str:
    record = None if data_version is None else ledger.get(data_version, declaration)
    if record is None or not record.final:
        return ""
    return f"{record.verdict} (version {record.version}): {record.reason}" if record.version else record.reason


def _unfinished(
    model: Declaration,
    trainings: Sequence[TrainingRecord],
    failed: Sequence[dg.RunRecord],
    data_version: str | None,
) -> str:
    """Return why the last training is unfinished: it died or failed before its decision; "" if it ended.

    A training of another declaration, or with a person's own parameters, cannot be resumed. A slow version is
    measured again while its data is current: with other data, its trigger fires again.
    """
    newest = trainings[0] if trainings else None
    if newest is not None and newest.declaration_version == model.training_version:
        if newest.status == "fitted":
            return f"version {newest.version} was registered by run {newest.run_id[:8]} and never judged"
        if newest.status == "slow" and newest.data_version == data_version:
            return f"version {newest.version} was slow when it was measured ({newest.reason})"
    if failed and (newest is None or _moment(newest) < failed[0].create_timestamp):
        return f"run {failed[0].dagster_run.run_id[:8]} failed"
    return ""


def _moment(record: TrainingRecord) -> datetime:
    return datetime.fromisoformat(record.at)


def _ended(record: dg.RunRecord) -> datetime:
    return datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
