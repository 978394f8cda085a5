"""All that is kept of one model: its records in the database, and its files in the storage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from mlops_assets.declaration import Declaration
from mlops_assets.disk_frame import ROWS_AT_ONCE, LargeFrame, StoredFrame
from mlops_assets.lazy import np, pd
from mlops_assets.records.alerts import AlertLedger
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.frames import DATASET, FEATURES, keep_frame
from mlops_assets.records.outcomes import OutcomesLedger
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.records.reports import BatchReports
from mlops_assets.records.requests import Requests
from mlops_assets.records.trainings import TrainingLedger
from mlops_assets.records.typed import Record, Records, store_of
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.storage import Storage

if TYPE_CHECKING:
    from mlops_assets.records.store import Transaction

Ledger = TypeVar("Ledger")

BYTES_OF_WIDEST_ROW = 16_000
"""More bytes than a row takes in memory: so many rows fit for sure, whatever is in them."""


def _ledger(kind: Callable[[Storage, str], Ledger]) -> cached_property[Ledger]:
    return cached_property(lambda records: kind(records.storage, records.name))


@dataclass(frozen=True)
class ModelRecords:
    """A declared model with its records and its files: what a step or a sensor works on."""

    model: Declaration
    storage: Storage

    batches = _ledger(BatchLedger)
    """The batches of rows."""
    outcomes = _ledger(OutcomesLedger)
    """The batches of labels that come later than their rows."""
    reports = _ledger(BatchReports)
    """The reports on batches."""
    trainings = _ledger(TrainingLedger)
    """The trainings."""
    promotions = _ledger(PromotionLedger)
    """The promotions."""
    requests = _ledger(Requests)
    """The hold on promotions, and the version that waits for approval."""
    alerts = _ledger(AlertLedger)
    """The alerts that were sent."""

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.model.name

    @property
    def champion(self) -> ModelVersion | None:
        """The version to score with: that of the newest completed promotion, None before the first.

        An alias that was moved by hand, or lost with its version, does not change what scores.
        """
        promotion = self.promotions.champion()
        return None if promotion is None else promotion.as_version(self.name)

    def of(self, record: type[Record]) -> Records[Record]:
        """Return the records of another kind."""
        return Records(self.storage, self.name, record)

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Open a transaction for records of several kinds."""
        return store_of(self.storage).transaction()

    def read_frame(
        self,
        kind: str,
        batch: str,
        version: str,
        columns: Sequence[str] | None = None,
        rows: np.ndarray | None = None,
    ) -> pd.DataFrame:
        """Return a stored frame, as `Storage.read_frame`."""
        return self.storage.read_frame(self.name, kind, batch, version, columns, rows)

    def large(self, kind: str, record: BatchRecord) -> StoredFrame | None:
        """Return the dataset or the features of a batch to be read by column or by chunk, None if they fit into memory.

        The source's `limits.memory_mb` decides.
        """
        version = str(record.version if kind == DATASET else record.features)
        return self.large_frame(kind, record.batch, version, record.rows)

    def large_frame(self, kind: str, batch: str, version: str, rows: int) -> StoredFrame | None:
        """Return any stored frame of so many rows as `large` does."""
        most = self.model.source.limits.memory_mb
        if rows * BYTES_OF_WIDEST_ROW <= most * 1e6:  # the file need not be opened
            return None
        size = self.storage.frame_size(self.name, kind, batch, version)
        if size.mb <= most:
            return None
        return StoredFrame(
            size.rows,
            size.columns,
            lambda columns: self.read_frame(kind, batch, version, columns),
            lambda columns: self.frame_chunks(kind, batch, version, columns, ROWS_AT_ONCE),
        )

    def dataset(self, record: BatchRecord, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the rows of a batch."""
        return self.read_frame(DATASET, record.batch, str(record.version), columns)

    def features(self, record: BatchRecord, rows: np.ndarray | None = None) -> pd.DataFrame:
        """Return the features of a batch, of the rows at positions `rows` if these are given."""
        return self.read_frame(FEATURES, record.batch, str(record.features), rows=rows)

    def write_frame(self, kind: str, batch: str, version: str, frame: pd.DataFrame) -> str:
        """Store a frame, as `Storage.write_frame`."""
        return self.storage.write_frame(self.name, kind, batch, version, frame)

    def frame_chunks(
        self,
        kind: str,
        batch: str,
        version: str,
        columns: Sequence[str] | None = None,
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> Iterator[pd.DataFrame]:
        """Yield a stored frame in chunks of rows, as `Storage.frame_chunks`."""
        return self.storage.frame_chunks(self.name, kind, batch, version, columns, rows_at_once)

    def write_chunks(self, kind: str, batch: str, version: str, chunks: Iterable[pd.DataFrame]) -> str:
        """Store a frame that comes in chunks of rows, as `Storage.write_chunks`."""
        return self.storage.write_chunks(self.name, kind, batch, version, chunks)

    def keep_frame(self, kind: str, batch: str, version: str, frame: pd.DataFrame | LargeFrame) -> str:
        """Store a frame and make it the latest of its batch, as `frames.keep_frame`."""
        return keep_frame(self.storage, self.name, kind, batch, version, frame)

    def has_frame(self, kind: str, batch: str, version: str) -> bool:
        """Return whether a frame is stored."""
        return self.storage.has_frame(self.name, kind, batch, version)
