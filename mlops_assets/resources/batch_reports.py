"""What was found of each batch: whether it was scored, drifted or decayed, by which champion, on which content."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from mlops_assets.resources.records import all_records, one_record
from mlops_assets.resources.storage import Storage

ReportKind = Literal["predictions", "drift", "performance"]


@dataclass(frozen=True)
class BatchReport:
    """The last report of one kind on a batch.

    `identity` is that of the batch's record when it was made, `model_version` the champion that it is about (None:
    there was none yet), `at` the moment in UTC as ISO 8601, `again_at` the one from which on it is out of date by
    itself, "" for never.
    """

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
        """The rows and their features alone, as `BatchRecord.content`."""
        return "-".join(self.identity.split("-")[:2])


class BatchReports:
    """The reports on one model's batches, one small file for each batch and kind, written by the steps of its runs."""

    def __init__(self, storage: Storage, model: str) -> None:
        self._storage = storage
        self._model = model

    def put(self, kind: ReportKind, report: BatchReport) -> None:
        """Record a report; an earlier one of the same kind on the same batch is replaced."""
        self._storage.write_json(self._model, "reports", kind, report.batch, value=asdict(report))

    def get(self, kind: ReportKind, batch: str) -> BatchReport | None:
        """The last report of a kind on a batch."""
        return one_record(self._storage, BatchReport, self._model, "reports", kind, batch)

    def all(self, kind: ReportKind) -> dict[str, BatchReport]:
        """The last report of a kind on every batch, by batch."""
        return all_records(self._storage, BatchReport, self._model, "reports", kind)
