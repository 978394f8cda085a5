"""Reports on each batch: whether it was scored, drifted or decayed, by which champion, on which content."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from mlops_assets.records.typed import Records
from mlops_assets.resources.storage import Storage

ReportKind = Literal["predictions", "drift", "performance"]


@dataclass(frozen=True, kw_only=True)
class BatchReport:
    """The last report of one kind on a batch.

    `identity` is the batch record's identity at the time of the report, `model_version` the champion (None: there was
    no champion yet), `at` the moment of the report (UTC, ISO 8601). `again_at` is the moment from which on the report
    is out of date, "" for never.
    """

    KIND: ClassVar[str] = "reports"

    batch: str
    identity: str
    model_version: int | None
    verdict: str
    reason: str
    run_id: str
    at: str
    figures: Mapping[str, float] = field(default_factory=dict)
    again_at: str = ""

    @property
    def content(self) -> str:
        """The rows and their features alone, as in `BatchRecord.content`."""
        return "-".join(self.identity.split("-")[:2])


class BatchReports:
    """The reports on one model's batches, written by the steps of its runs."""

    def __init__(self, storage: Storage, model: str) -> None:
        self._storage, self._model = storage, model

    def put(self, kind: ReportKind, report: BatchReport) -> None:
        """Record a report; it replaces an earlier report of the same kind on the same batch."""
        self._of(kind).put(report.batch, report)

    def get(self, kind: ReportKind, batch: str) -> BatchReport | None:
        """Return the last report of a kind on a batch."""
        return self._of(kind).get(batch)

    def all(self, kind: ReportKind) -> dict[str, BatchReport]:
        """Return the last report of a kind on every batch, by batch."""
        return self._of(kind).all()

    def _of(self, kind: ReportKind) -> Records[BatchReport]:
        return Records(self._storage, self._model, BatchReport, kind)
