"""The evidence for a retraining decision, read from the records that the steps of runs write."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

import dagster as dg

from mlops_assets.assets.shared.keys import DATA_VERSION, DECLARATION_VERSION, KIND
from mlops_assets.assets.training.outcome import WAITING
from mlops_assets.assets.training.training_set import split, too_few
from mlops_assets.decisions.retraining.evidence import Alarms, Evidence
from mlops_assets.errors import MlopsAssetsError, StorageError
from mlops_assets.modelling.manifest import BatchInfo, Manifest
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.labels import unready
from mlops_assets.records.manifests import kept_manifest
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.reports import ReportKind
from mlops_assets.sensors.runs import FAILED, PARTITION, by_model, ended_at, runs_under_way

_REMEMBERED = timedelta(days=30)
_MOST_FAILURES = 1_000

Contents = set[tuple[str, str]]
"""(key, version) of batches."""


@dataclass(frozen=True)
class Runs:
    """Runs of all models: trainings and batches under way, and failed trainings."""

    training: dict[str, list[dg.DagsterRun]]
    intake: dict[str, list[dg.DagsterRun]]
    failed: dict[str, list[dg.RunRecord]] = field(default_factory=dict)


def runs_of(instance: dg.DagsterInstance, now: datetime) -> Runs:
    """Return the runs under way and the trainings that failed in the last 30 days, by model; the newest first."""
    wanted = dg.RunsFilter(tags={KIND: "training"}, statuses=FAILED, created_after=now - _REMEMBERED)
    failed = instance.get_run_records(wanted, limit=_MOST_FAILURES)
    requested = [run for run in failed if DATA_VERSION in run.dagster_run.tags]  # a person repeats their own run
    return Runs(runs_under_way(instance, "training"), runs_under_way(instance, "batch"), by_model(requested))


def evidence_of(
    records: ModelRecords, runs: Runs, intake_since: datetime | None = None, clock: datetime | None = None
) -> Evidence:
    """Return the evidence for a decision on a model; see `Evidence`."""
    model, past = records.model, _Past(records, runs)
    champion, trainings, ended = past.champion, past.trainings, past.ended
    unseen = _since(past.labelled, past.champion_contents | past.answered)
    under_way, failures, in_a_row = runs.training.get(model.name, []), past.failures, past.failed_in_a_row
    return Evidence(
        champion=None if champion is None else champion.version,
        champion_trained=None if champion is None else datetime.fromtimestamp(champion.created / 1000, UTC),
        drift=past.alarms("drift", "drift"),
        decay=past.alarms("performance", "decay"),
        batches=len(past.labelled),
        new_batches=len(unseen),
        new_rows=sum(batch.labelled for batch in unseen),
        since_last=len(_since(past.labelled, past.contents(ended[0].data_version) if ended else set())),
        trained_rows=past.trained_rows,
        trainable_rows=0 if past.planned is None else past.planned.rows("train"),
        data_version=past.data_version,
        declaration_version=model.training_version,
        cannot_train=past.cannot_train,
        never_trained=all(training.declaration_version != model.training_version for training in ended),
        nothing_new=past.nothing_new,
        outcome=past.outcome,
        unfinished="" if under_way else past.unfinished,
        waits=bool(ended) and ended[0].verdict == WAITING,
        cancelled=bool(failures) and failures[0].dagster_run.status == dg.DagsterRunStatus.CANCELED,
        failures=len(failures),
        in_a_row=len(in_a_row),
        last_failure=next((ended_at(run) for run in (*in_a_row, *failures)), None),
        last_training=trainings[0].moment if trainings else None,
        # a refused training set costs no training: small batches would use up the budget before the first training
        trainings=tuple(training.moment for training in trainings if training.trigger and training.version is not None),
        under_way=f"run {under_way[0].run_id[:8]}" if under_way else "",
        intake=past.intake,
        intake_since=intake_since,
        clock=clock,
    )


class _Past:
    """The past of a model as its records and runs have it, each part read once and only if it is needed."""

    def __init__(self, records: ModelRecords, runs: Runs) -> None:
        self._records, self._model, self._runs = records, records.model, runs
        self.champion = records.champion
        self.trainings = records.trainings.all()
        self.ended = [training for training in self.trainings if training.final]
        self._recorded = records.batches.all()
        self._batches = [batch for batch in self._recorded if batch.ready(self._model.features_version) is None]
        self.labelled = [batch for batch in self._batches if batch.labelled and unready(self._model, batch) is None]
        self._failed = runs.failed.get(records.name, [])
        self.planned, self.cannot_train = self._planned()
        self.data_version = None if self.planned is None else self.planned.version

    def contents(self, data_version: str) -> Contents:
        """Return the batches of a training set."""
        return _contents(kept_manifest(self._records, data_version))

    @cached_property
    def _manifest(self) -> Manifest | None:
        """The training set of the champion."""
        return None if self.champion is None else kept_manifest(self._records, self.champion.data_version)

    @cached_property
    def champion_contents(self) -> Contents:
        """The batches that the champion was trained and judged on."""
        return set() if self._manifest is None else _contents(self._manifest)

    @cached_property
    def answered(self) -> Contents:
        """The batches of the last training that made the champion, or learnt from batches new to it.

        A training that was refused before the fit, or fitted on the champion's batches only, does not count.
        """
        judged_on = "" if self.champion is None else self.champion.judged.data_version
        for training in self.ended:
            manifest = kept_manifest(self._records, training.data_version)
            new = training.version is not None and _contents(manifest, ("train",)) - self.champion_contents
            if new or training.data_version == judged_on:
                return _contents(manifest)
        return set()

    @property
    def trained_rows(self) -> int:
        """The larger number of training rows: of the champion, or of the last training that fitted a version."""
        fitted = [training.data_version for training in self.ended if training.version is not None]
        manifests = [self._manifest, *(kept_manifest(self._records, version) for version in fitted[:1])]
        return max((manifest.rows("train") for manifest in manifests if manifest is not None), default=0)

    @property
    def nothing_new(self) -> bool:
        """Whether the same declaration would be fitted on the champion's rows once more.

        A refit knows the holdout too: a window that moves on only leaves out the oldest rows.
        """
        planned, trained = self.planned, self._manifest
        if planned is None or self.champion is None or trained is None:
            return False
        if self.champion.declaration_version != self._model.training_version:
            return False
        if not trained.holdout:
            return _no_more(planned.train, trained.train[-len(planned.train) :])
        # labels that became known after the holdout begins are not used: a later holdout lets in more labels
        later = self._model.known_at is not None and planned.holdout[0].start != trained.holdout[0].start
        return _no_more(planned.train, trained.train) and not later

    @property
    def intake(self) -> int:
        """The number of batches that are under way or due: nearly all after the declaration has changed."""
        due = [batch for batch in self._recorded if batch.status == "accepted" and not batch.excluded]
        waiting = {batch.batch for batch in due if batch.features_code != self._model.features_version}
        runs = self._runs.intake.get(self._model.name, [])
        return len(waiting | {run.tags.get(PARTITION, run.run_id) for run in runs})

    @property
    def failures(self) -> list[dg.RunRecord]:
        """The failed trainings on the data and by the declaration that a training would have now."""
        wanted = {DATA_VERSION: self.data_version, DECLARATION_VERSION: self._model.training_version}
        return [run for run in self._failed if wanted.items() <= run.dagster_run.tags.items()]

    @property
    def failed_in_a_row(self) -> list[dg.RunRecord]:
        """The trainings that died on any data since the last training that ended."""
        return [run for run in self._died if not self.ended or self.ended[0].moment < run.create_timestamp]

    @cached_property
    def _died(self) -> list[dg.RunRecord]:
        """The failed runs that recorded no final outcome: a run that refuses its training set fails as well."""
        recorded = {training.run_id for training in self.ended}
        runs = [run for run in self._failed if run.dagster_run.status == dg.DagsterRunStatus.FAILURE]
        return [run for run in runs if run.dagster_run.run_id not in recorded]

    @property
    def outcome(self) -> str:
        """How a training on the same data by the same declaration ended, "" if there was none."""
        if self.data_version is None:
            return ""
        training = self._records.trainings.get(self.data_version, self._model.training_version)
        if training is None or not training.final:
            return ""
        verdict = f"{training.verdict} (version {training.version}): " if training.version else ""
        return verdict + training.reason

    @property
    def unfinished(self) -> str:
        """Why the last training is unfinished: it died or failed before its decision; "" if it ended.

        A training of another declaration, or with a person's own parameters, cannot be resumed. A slow version is
        measured again while its data is current: with other data, its trigger fires again.
        """
        newest = self.trainings[0] if self.trainings else None
        if newest is not None and newest.declaration_version == self._model.training_version:
            if newest.status == "fitted":
                return f"version {newest.version} was registered by run {newest.run_id[:8]} and never judged"
            if newest.status == "slow" and newest.data_version == self.data_version:
                return f"version {newest.version} was slow when it was measured ({newest.reason})"
        if self._died and (newest is None or newest.moment < self._died[0].create_timestamp):
            return f"run {self._died[0].dagster_run.run_id[:8]} failed"
        return ""

    def alarms(self, kind: ReportKind, alarm: str) -> Alarms:
        """Return the alarms on this champion that no training has answered, oldest first."""
        if self.champion is None:
            return Alarms()
        reports = self._records.reports.all(kind)
        judged = [reports[batch.batch] for batch in _since(self._batches, self.answered) if batch.batch in reports]
        flags = {
            report.batch: report.verdict == alarm
            for report in judged
            if report.model_version == self.champion.version and report.verdict in (alarm, f"no {alarm}")
        }
        return Alarms(tuple(flags), tuple(flags.values()))

    def _planned(self) -> tuple[Manifest | None, str]:
        """Return the training set that would be made now, None if there is none, and why it cannot be trained on."""
        try:
            planned = split(self._records, None if self.champion is None else self.champion.data_version)
        except StorageError:
            raise
        except MlopsAssetsError as error:
            return None, str(error)
        return planned, too_few(planned.rows("train"), planned.rows("holdout"))


def _contents(manifest: Manifest, roles: Sequence[str] = ("train", "holdout")) -> Contents:
    return {(batch.key, batch.version) for role in roles for batch in getattr(manifest, role)}


def _no_more(planned: Sequence[BatchInfo], trained: Sequence[BatchInfo]) -> bool:
    """Return whether planned training rows are those trained on, or of a sample no larger a share."""
    same = [replace(batch, sample=None) for batch in planned] == [replace(batch, sample=None) for batch in trained]
    return same and all(new.share <= old.share for new, old in zip(planned, trained, strict=True))


def _since(batches: Sequence[BatchRecord], known: Contents) -> list[BatchRecord]:
    """Return the batches that are neither known nor older than all known ones: a window leaves out older batches."""
    keys = {key for key, _ in known}
    first = next((position for position, batch in enumerate(batches) if batch.batch in keys), 0)
    return [batch for batch in batches[first:] if (batch.batch, batch.identity) not in known]
