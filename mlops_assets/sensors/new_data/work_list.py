"""The batches of a model that need a run: new, changed or incomplete batches, and outcomes."""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cache, partial
from typing import get_args

from mlops_assets.assets.batch.completeness import outstanding
from mlops_assets.assets.shared.keys import BATCH_ASSETS
from mlops_assets.declaration import Declaration
from mlops_assets.errors import DamagedRecordError
from mlops_assets.records.batches import BatchRecord, gives_way, in_time
from mlops_assets.records.column_kinds import learnt_anew
from mlops_assets.records.inferred_suites import inferred_version
from mlops_assets.records.manifests import batches_of_manifest
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.promotions import Promotion
from mlops_assets.records.reports import BatchReport, ReportKind
from mlops_assets.records.typed import log_damage
from mlops_assets.resources.judges import judged_by
from mlops_assets.sources.look import RUNNING, Look


@dataclass(frozen=True)
class Wanted:
    """A batch that needs a run of `assets`.

    `mark` is the batch's mark. `need` changes with the reason for a run and with the champion that scores the batch;
    then attempts are counted anew. `registry`: the rows are stored, and the remaining steps need the registry.
    `judges` identifies what judges the rows, if they are read anew.
    """

    batch: str
    assets: tuple[str, ...]
    _: KW_ONLY
    mark: str
    need: str
    registry: bool
    judges: str = ""


@dataclass(frozen=True, kw_only=True)
class Batches:
    """All records of a model's batches; those in `unseen` are newer than the champion's training set and holdout."""

    records: Mapping[str, BatchRecord]
    reports: Mapping[ReportKind, Mapping[str, BatchReport]]
    champion: str = ""
    unseen: frozenset[str] = field(default_factory=frozenset)
    learnt_anew: int = 0
    inferred_suite: str = ""

    @property
    def marks(self) -> dict[str, str]:
        """The mark with which each batch was taken in."""
        return {batch: record.mark for batch, record in self.records.items()}


def batches_on_record(records: ModelRecords) -> Batches:
    """Read the ledger and the reports; only records that changed since the last tick are read."""
    try:
        champion = records.promotions.champion()
    except DamagedRecordError as error:  # rows and features need no champion; the step that scores raises this error
        log_damage(str(error))
        champion = None
    batches = records.batches.records()
    return Batches(
        records=batches,
        reports={kind: records.reports.all(kind) for kind in get_args(ReportKind)},
        champion="" if champion is None else f"v{champion.version}",
        unseen=frozenset() if champion is None else _unseen(records, champion, batches),
        learnt_anew=learnt_anew(records),
        inferred_suite=inferred_version(records),
    )


def wanted_batches(model: Declaration, look: Look, known: Batches) -> Iterator[Wanted]:
    """Yield the batches that need a run: first those of the source, in its order, then those whose source is gone.

    A rejected batch gets one more run if what judges it has changed since.
    """
    # Called only if a batch needs it, since it reads the suite file.
    judges = cache(partial(judged_by, model, known.learnt_anew, known.inferred_suite))
    alike: dict[str, list[BatchRecord]] = {}
    for record in known.records.values():
        if record.version is not None:
            alike.setdefault(record.version, []).append(record)
    for batch, mark in look.ready.items():
        last = known.records.get(batch)
        if last is None or last.mark != mark or _misjudged(last, alike):
            need = _need(mark, model.features_version, known.champion)
            yield Wanted(batch, BATCH_ASSETS, mark=mark, need=need, registry=False, judges=judges())
        elif last.status == "rejected" and last.judged_by not in ("", judges()):
            need = _need(mark, model.features_version, known.champion, judges())
            yield Wanted(batch, BATCH_ASSETS, mark=mark, need=need, registry=False, judges=judges())
        else:
            yield from _incomplete(model, last, known, from_source=True)
    waiting = {*look.seen, *(waiting.name for waiting in look.waiting)}
    for batch, record in known.records.items():
        if batch not in look.ready and batch not in waiting:
            yield from _incomplete(model, record, known, from_source=False)


def wanted_outcomes(look: Look, marks: Mapping[str, str]) -> Iterator[Wanted]:
    """Yield the batches of outcomes that are new or have changed, in the order of their source."""
    for batch, mark in look.ready.items():
        if marks.get(batch) != mark:
            yield Wanted(batch, ("outcomes",), mark=mark, need=mark, registry=False)


def vanished(model: Declaration, look: Look, known: Batches) -> list[str] | None:
    """Return the accepted batches that the source neither has nor is getting, None if this look cannot tell."""
    waiting = {waiting.name for waiting in look.waiting}
    if model.source.divided_by is not None and any(waiting.reason != RUNNING for waiting in look.waiting):
        return None  # there are files whose periods are not known yet
    present = look.ready.keys() | look.seen.keys() | waiting
    return [batch for batch, record in known.records.items() if record.status == "accepted" and batch not in present]


def _incomplete(model: Declaration, record: BatchRecord, known: Batches, from_source: bool) -> Iterator[Wanted]:
    """Yield the run that the stored rows of a batch still need, if any."""
    predictions, drift, performance = (known.reports[kind].get(record.batch) for kind in get_args(ReportKind))
    unseen = record.batch in known.unseen
    assets = outstanding(record, model.features_version, predictions, drift, performance, unseen)
    if not assets:
        return
    if not from_source and assets[0] == "dataset":
        assets = assets[1:]
    labels = record.labels if assets == ("performance",) else None
    need = _need(record.mark, model.features_version, known.champion, labels)
    yield Wanted(record.batch, assets, mark=record.mark, need=need, registry=assets[0] != "dataset")


def _unseen(records: ModelRecords, champion: Promotion, batches: Mapping[str, BatchRecord]) -> frozenset[str]:
    """Return the batches that come after the last batch of the champion's training set and holdout."""
    try:
        used = batches_of_manifest(records.storage, records.name, champion.tags.get("data_version", ""))
    except DamagedRecordError as error:
        log_damage(str(error))
        return frozenset()
    last = max((in_time(batches[batch]) for batch in used if batch in batches), default=None)
    if last is None:  # another tool's training set, or its record is gone: no batch is known to be newer
        return frozenset()
    return frozenset(batch for batch, record in batches.items() if batch not in used and in_time(record) > last)


def _misjudged(record: BatchRecord, alike: Mapping[str, list[BatchRecord]]) -> bool:
    """Return whether a duplicate is no longer one, since the other batch changed, or two accepted batches are equal."""
    if record.version is None or record.status == "rejected":
        return False
    other = gives_way(record.batch, alike[record.version])
    return (other is None) if record.status == "duplicate" else (other is not None)


def _need(*parts: str | None) -> str:
    return " ".join(part for part in parts if part)
