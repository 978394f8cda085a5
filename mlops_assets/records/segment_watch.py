"""What was found of the segments of a fleet on each batch, and which models its champion has for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Literal

from mlops_assets.decisions.segments.board import board
from mlops_assets.lazy import np, pd
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.manifests import read_manifest
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.typed import Records
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.sources.data_version import data_version

WatchKind = Literal["decay", "drift"]
_LOSSES, _TABLES, _MODELS = "segment_losses", "segments", "segment_models"


@dataclass(frozen=True, kw_only=True)
class SegmentWatch:
    """What was found of the segments on one batch.

    `identity` is that of the batch's record when its rows were read, `digest` that of the champion. `table` and
    `losses` are versions of stored frames: a row for each segment, and for decay the loss of each labelled row.
    """

    KIND: ClassVar[str] = "segment_watch"

    batch: str
    identity: str
    digest: str
    at: str
    table: str
    losses: str = ""
    segments: int = 0
    tested: int = 0
    alarms: int = 0


@dataclass(frozen=True)
class SegmentWatches:
    """The watches of one kind under one champion; those of another champion, or of other rows, do not count."""

    records: ModelRecords
    kind: WatchKind
    champion: ModelVersion

    def before(self, record: BatchRecord) -> Iterator[tuple[BatchRecord, SegmentWatch]]:
        """Yield the watched batches before a batch, the newest first, without those that the champion was made from."""
        batches = self.records.batches.all()
        place = next((number for number, other in enumerate(batches) if other.batch == record.batch), len(batches))
        manifest = read_manifest(self.records, self.champion.judged.data_version)
        known = {batch.key for batch in (*manifest.train, *manifest.holdout)}
        watches = self._of.all()
        for other in reversed(batches[:place]):
            if other.batch in watches and other.batch not in known and self._is_sound(other, watches[other.batch]):
                yield other, watches[other.batch]

    def newest(self) -> tuple[SegmentWatch, pd.DataFrame] | None:
        """Return the watch of the newest batch, and its table; None before the first."""
        watches = self._of.all()
        for record in reversed(self.records.batches.all()):
            if record.batch in watches and self._is_sound(record, watches[record.batch]):
                return watches[record.batch], self.table(watches[record.batch])
        return None

    def table(self, watch: SegmentWatch) -> pd.DataFrame:
        """Return the row of each segment: what the decision says, and since which batch it is an alarm."""
        return self.records.read_frame(_TABLES, watch.batch, watch.table)

    def losses(self, watch: SegmentWatch) -> pd.DataFrame:
        """Return the losses of the labelled rows of a batch, in order of time: columns segment and loss."""
        return self.records.read_frame(_LOSSES, watch.batch, watch.losses)

    def put(self, record: BatchRecord, table: pd.DataFrame, losses: pd.DataFrame | None = None) -> pd.DataFrame:
        """Record the decision on a batch, and return its table with the batch since when each alarm lasts."""
        last = next(self.before(record), None)
        table = table.assign(since=_since(table, None if last is None else self.table(last[1]), record.batch))
        watch = SegmentWatch(
            batch=record.batch,
            identity=self._identity(record),
            digest=self.champion.digest,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            table=self._write(_TABLES, record, table),
            losses="" if losses is None else self._write(_LOSSES, record, losses),
            segments=len(table),
            tested=int(table["p"].notna().sum()),
            alarms=int(table["alarm"].sum()),
        )
        self._of.put(record.batch, watch)
        return table

    @property
    def _of(self) -> Records[SegmentWatch]:
        return Records(self.records.storage, self.records.name, SegmentWatch, self.kind)

    def _identity(self, record: BatchRecord) -> str:
        return record.identity if self.kind == "decay" else record.content

    def _is_sound(self, record: BatchRecord, watch: SegmentWatch) -> bool:
        same = (watch.digest, watch.identity) == (self.champion.digest, self._identity(record))
        return same and record.status == "accepted"

    def _write(self, kind: str, record: BatchRecord, frame: pd.DataFrame) -> str:
        version = data_version(frame)
        self.records.write_frame(kind, record.batch, version, frame)
        return version


def store_segment_models(records: ModelRecords, version: ModelVersion, table: pd.DataFrame) -> None:
    """Store which model a version has for each segment: segment, model, tried, failed and kept_for."""
    records.write_frame(_MODELS, "version", version.digest, table)


def segment_models(records: ModelRecords, version: ModelVersion) -> pd.DataFrame:
    """Return what `store_segment_models` stored; without rows for a version of an earlier release."""
    if not records.has_frame(_MODELS, "version", version.digest):
        columns = {"segment": object, "model": object, "tried": bool, "failed": bool, "kept_for": np.int64}
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
    return records.read_frame(_MODELS, "version", version.digest)


def current_board(records: ModelRecords, champion: ModelVersion) -> tuple[pd.DataFrame, dict[str, int | str]]:
    """Return the segments that need somebody, as of the newest batches, and the figures of all segments."""
    models = segment_models(records, champion)
    found = {kind: SegmentWatches(records, kind, champion).newest() for kind in ("decay", "drift")}
    tables = {kind: None if newest is None else newest[1] for kind, newest in found.items()}
    figures: dict[str, int | str] = {
        "segments": len(models),
        "segments_with_own_model": int((models["model"] == "own").sum()),
        "segments_failed": int(models["failed"].sum()),
    }
    for kind, newest in found.items():
        if newest is not None:
            figures |= {f"{kind}_tested": newest[0].tested, f"{kind}_alarms": newest[0].alarms}
            figures[f"{kind}_batch"] = newest[0].batch
    return board(models, tables["decay"], tables["drift"]), figures


def _since(table: pd.DataFrame, before: pd.DataFrame | None, batch: str) -> pd.Series:
    """Return the batch (k,) since when each segment has been an alarm without a break; "" for the others."""
    since = pd.Series(np.where(table["alarm"], batch, ""), index=table.index, dtype=object)
    if before is None:
        return since
    earlier = table["segment"].map(before[before["alarm"]].set_index("segment")["since"])
    return since.where(~table["alarm"] | earlier.isna(), earlier)
