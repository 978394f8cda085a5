"""What is still to be taken in of a model: batches that are new, changed or incomplete, and outcomes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial

from mlops_assets.assets.batch.completeness import outstanding
from mlops_assets.assets.shared.keys import BATCH_ASSETS
from mlops_assets.declaration import Declaration
from mlops_assets.errors import DamagedRecordError
from mlops_assets.records.batches import BatchLedger, BatchRecord, gives_way, in_time
from mlops_assets.records.column_kinds import learnt_anew
from mlops_assets.records.promotions import Promotion, PromotionLedger
from mlops_assets.records.reports import BatchReport, BatchReports
from mlops_assets.records.rows import batches_of_manifest
from mlops_assets.records.typed import log_damage
from mlops_assets.resources.judges import judged_by
from mlops_assets.resources.storage import Storage
from mlops_assets.sources.look import RUNNING, Look


@dataclass(frozen=True)
class Wanted:
    """A batch that needs a run of `assets`.

    `mark` is the state of its source. `need` changes when there is another reason for a run than before, or another
    champion to score it, and with it the attempts are counted anew. `registry`: its rows are stored already, and what
    is left needs the registry. `judges`: what will judge its rows, where they are read anew.
    """

    batch: str
    assets: tuple[str, ...]
    mark: str
    need: str
    registry: bool
    judges: str = ""


@dataclass(frozen=True)
class Batches:
    """All that is on record of a model's batches; `unseen` are newer than the champion's training set and holdout."""

    records: Mapping[str, BatchRecord]
    predictions: Mapping[str, BatchReport]
    drift: Mapping[str, BatchReport]
    performance: Mapping[str, BatchReport]
    champion: str = ""
    unseen: frozenset[str] = field(default_factory=frozenset)
    learnt_anew: int = 0

    @property
    def marks(self) -> dict[str, str]:
        """The state of the source in which each batch was taken in."""
        return {batch: record.mark for batch, record in self.records.items()}


def batches_on_record(storage: Storage, model: str) -> Batches:
    """Read the ledger and the reports; what has not changed since the last tick is not read again."""
    reports = BatchReports(storage, model)
    try:
        champion = PromotionLedger(storage, model).champion()
    except DamagedRecordError as error:  # rows and features need none; what scores them says so itself
        log_damage(str(error))
        champion = None
    records = BatchLedger(storage, model).records()
    return Batches(
        records,
        reports.all("predictions"),
        reports.all("drift"),
        reports.all("performance"),
        "" if champion is None else f"v{champion.version}",
        frozenset() if champion is None else _unseen(storage, model, champion, records),
        learnt_anew(storage, model),
    )


def wanted_batches(model: Declaration, found: Look, known: Batches) -> Iterator[Wanted]:
    """Batches that need a run: those that the source has, in its order, then those of which the source is gone.

    A rejected batch is wanted again, once, where what judges it has changed since.
    """
    # Asked for where a batch needs it, as it reads the suite file.
    judges = cache(partial(judged_by, model, known.learnt_anew))
    alike: dict[str, list[BatchRecord]] = {}
    for record in known.records.values():
        if record.version is not None:
            alike.setdefault(record.version, []).append(record)
    for batch, mark in found.ready.items():
        there = known.records.get(batch)
        if there is None or there.mark != mark or _misjudged(there, alike):
            need = _need(mark, model.features_version, known.champion)
            yield Wanted(batch, BATCH_ASSETS, mark, need, registry=False, judges=judges())
        elif there.status == "rejected" and there.judged_by not in ("", judges()):
            need = _need(mark, model.features_version, known.champion, judges())
            yield Wanted(batch, BATCH_ASSETS, mark, need, registry=False, judges=judges())
        else:
            yield from _incomplete(model, there, known, from_source=True)
    waiting = {*found.seen, *(each.name for each in found.waiting)}
    for batch, record in known.records.items():
        if batch not in found.ready and batch not in waiting:
            yield from _incomplete(model, record, known, from_source=False)


def wanted_outcomes(found: Look, marks: Mapping[str, str]) -> Iterator[Wanted]:
    """Batches of outcomes that are new or have changed, in the order of their source."""
    for batch, mark in found.ready.items():
        if marks.get(batch) != mark:
            yield Wanted(batch, ("outcomes",), mark, mark, registry=False)


def vanished(model: Declaration, found: Look, known: Batches) -> list[str] | None:
    """Accepted batches that the source neither has nor is getting; None where this look cannot tell."""
    waiting = {each.name for each in found.waiting}
    if model.source.divided_by is not None and any(each.reason != RUNNING for each in found.waiting):
        return None  # there are files whose periods are not known yet
    there = found.ready.keys() | found.seen.keys() | waiting
    return [batch for batch, each in known.records.items() if each.status == "accepted" and batch not in there]


def _incomplete(model: Declaration, record: BatchRecord, known: Batches, from_source: bool) -> Iterator[Wanted]:
    """What is left to be done with the rows that are stored."""
    scores, drift, performance = (
        each.get(record.batch) for each in (known.predictions, known.drift, known.performance)
    )
    left = outstanding(record, model.features_version, scores, drift, performance, record.batch in known.unseen)
    if not left:
        return
    if not from_source and left[0] == "dataset":
        left = left[1:]
    labels = record.labels if left == ("performance",) else None
    need = _need(record.mark, model.features_version, known.champion, labels)
    yield Wanted(record.batch, left, record.mark, need, registry=left[0] != "dataset")


def _unseen(storage: Storage, model: str, champion: Promotion, records: Mapping[str, BatchRecord]) -> frozenset[str]:
    """The batches that come after the last one of the champion's training set and holdout."""
    try:
        used = batches_of_manifest(storage.root, model, champion.tags.get("data_version", ""))
    except DamagedRecordError as error:
        log_damage(str(error))
        return frozenset()
    last = max((in_time(records[batch]) for batch in used if batch in records), default=None)
    if last is None:  # the training set is another tool's, or its record is gone: nothing is known to be newer
        return frozenset()
    return frozenset(batch for batch, each in records.items() if batch not in used and in_time(each) > last)


def _misjudged(record: BatchRecord, alike: Mapping[str, list[BatchRecord]]) -> bool:
    """Whether a duplicate is one no more, since the other has changed, or whether two of the same rows are in."""
    if record.version is None or record.status == "rejected":
        return False
    other = gives_way(record.batch, alike[record.version])
    return (other is None) if record.status == "duplicate" else (other is not None)


def _need(*parts: str | None) -> str:
    return " ".join(part for part in parts if part)
